"""Who and what is in the pictures: names of long ago, and the rest invented."""

PASSWORD = "ichthyosaur on the shore 1811"
GROUP, CLASHING = "anning-lab", "carson-lab"
SCANS, SHARED = "fossil-scans", "museum-collection"
BUCKET = f"cohort-{SCANS}"
FILES_PAGE = f"/groups/{GROUP}/files/{SCANS}/"
CREDENTIALS_PAGE = f"/groups/{GROUP}/credentials/"
PEOPLE = {
    "mary": "Mary Anning",
    "henry": "Henry Beche",
    "elizabeth": "Elizabeth Philpot",
    "charlotte": "Charlotte Murchison",
    "william": "William Buckland",
    "gideon": "Gideon Mantell",
    "louise": "Louise Field",
    "rachel": "Rachel Carson",
    "thomas": "Thomas Hawkins",
}
