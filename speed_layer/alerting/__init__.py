"""Reports to alerts, by rules that remember each drone."""
