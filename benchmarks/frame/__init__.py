"""The frame: options, fresh processes, results, and the tables in the documents."""
