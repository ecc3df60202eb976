"""`make demo`: a million real events through the service, and every count checked."""
