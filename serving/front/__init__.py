"""The server in front of the application: connections, deadlines and limits, before a thread is spent on a request."""
