"""Documents of headings, texts, tables and figures, and what turns them into a format."""
