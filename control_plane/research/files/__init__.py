"""Files of a group's folder that the site itself sends, one or many as a zip, and the settings of the file browser.

May import storage and what lies below it. The browser's page is in `web/files`; jobs show their results with the same browser.
"""
