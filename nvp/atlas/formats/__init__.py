"""Files of other people: a reader and, where it makes sense, a writer for each format, and what they share."""
