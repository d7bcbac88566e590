"""From finished runs to the paper's tables, intervals, comparisons and one page that shows them."""
