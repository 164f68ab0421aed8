"""Incidents and what people are told of them: state, policy, messages, deliveries, operators' actions. Pure."""
