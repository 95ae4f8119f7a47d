"""What is said of a run: its findings in sentences, and a page with figures."""
