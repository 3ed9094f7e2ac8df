"""The dashboard: pages in a browser, over the lake and the use cases that the service has too."""
