"""What every HTTP answer shares: access, limits, errors, paging, caching."""
