"""One typed request per verb: what the command line, the HTTP API, files and programs ask for."""
