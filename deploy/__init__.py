"""Images, Compose, chart and units: how Peacewatch is installed elsewhere than on a laptop."""
