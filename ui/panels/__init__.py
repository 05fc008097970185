"""Parts of pages that are a subject of their own."""
