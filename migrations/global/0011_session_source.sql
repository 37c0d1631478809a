-- From where a session was begun: what a person knows it by when they look for one that is not theirs.
ALTER TABLE gc.session ADD COLUMN address text, ADD COLUMN user_agent text;
