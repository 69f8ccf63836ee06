"""Pages of the site. They call the control plane's services; nothing there imports them."""
