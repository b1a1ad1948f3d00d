"""What keeps the pages in docs/ true: pages made from the code, and the parts of pages that tests run."""
