"""What is drawn of a run, of a grid and of a search: PNGs at ``path``; ``title`` says what data."""
