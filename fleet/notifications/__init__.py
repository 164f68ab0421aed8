"""Incidents and how people are notified of them: state, policy, messages, deliveries, operators' actions. Pure."""
