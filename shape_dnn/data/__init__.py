"""Images that workers share, and their splits."""
