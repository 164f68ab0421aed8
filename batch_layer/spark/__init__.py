"""What Spark computes, and how it is started."""
