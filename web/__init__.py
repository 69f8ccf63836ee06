"""What researchers see. Calls the control plane's services; the other way round nothing is imported."""
