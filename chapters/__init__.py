"""The book: one folder a chapter, each with a lesson that is script, notebook and page."""
