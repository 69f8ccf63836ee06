"""The record of behaviour: what the site shows to the outside, written down, so that code can be moved without changing it.

`python -m tests.record --write` writes it into `tests/data/record/`; `python -m tests.record --compare` takes it anew and prints
what differs, and ends with status 1 if something does. What it holds, by file:

- `urls.txt`: every address with its name, its methods, and what each role is answered, for its own group and for another one.
- `api.txt`: the API's own description of what it takes and answers.
- `commands/`: the help of every command and verb, and the exit status and the shape of the JSON of those that a story runs.
- `programs.txt`: the help of the programs beside `manage.py`.
- `actions.txt`: every action of the audit trail that the code names, and of those that were written here, the channel and details.
- `metrics.txt`: Prometheus' metrics with their types and labels, and those that are put to CloudWatch.
- `settings.txt`: every setting with its type, limits, default and description.
- `tasks.txt`: every task path with its queue and arguments; and the periodic steps in their order.
- `schema.txt`: every model's label, its table and columns.
- `templates/`: the CloudFormation templates of ten manifests, of the site's own stacks and of the bootstrap.
- `mails/`: every e-mail as it arrives: to whom, subject and text; `webhooks/`: every document's type and shape.

It works from the outside: by addresses, commands, tables and programs. The few modules that it knows are named in `product`, so
that a move changes that one. What changes from run to run is made alike by `normalise`, and nothing else.
"""
