"""Files of a group's folder that the site itself sends, one or many as a zip, and what the file browser has to know.

It may import storage and what lies below it. The browser's page lies in `web/files`; jobs show their results with the same browser.
"""
