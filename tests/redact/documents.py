"""Secrets that are more than one token: private keys, connection strings, credential files."""

from __future__ import annotations

import json
from urllib.parse import quote

from tests.redact.model import REGIONS, Dice, Secret, fill, password

PEM_KINDS = (
    ("pem-rsa", "RSA PRIVATE KEY", (12, 25), 64),
    ("pem-ec", "EC PRIVATE KEY", (3, 4), 64),
    ("pem-dsa", "DSA PRIVATE KEY", (9, 12), 64),
    ("pem-openssh", "OPENSSH PRIVATE KEY", (5, 38), 70),
    ("pem-pkcs8", "PRIVATE KEY", (3, 26), 64),
    ("pem-encrypted", "ENCRYPTED PRIVATE KEY", (6, 28), 64),
    ("pem-rsa-enciphered", "RSA PRIVATE KEY", (12, 25), 64),
    ("pgp-private", "PGP PRIVATE KEY BLOCK", (10, 40), 64),
)


def pem(form: str, kind: str, lines: tuple[int, int], width: int):
    def make(look: Dice, key: Dice) -> Secret:
        body = [key.text("B", width) for _ in range(look.randint(*lines))]
        body.append(key.text("B", look.randint(8, width - 4)))
        head = {
            "pem-rsa-enciphered": [
                "Proc-Type: 4,ENCRYPTED",
                "DEK-Info: AES-128-CBC," + look.text("H", 32),
                "",
            ],
            "pgp-private": ["Version: GnuPG v2", ""] if look.random() < 0.5 else [""],
        }.get(form, [])
        tail = ["=" + key.text("B", 4)] if form == "pgp-private" else []
        dashes = "-" * 5
        shown = [*body[:-1], body[-1] + look.pick(("", "=", "=="))]
        whole = [f"{dashes}BEGIN {kind}{dashes}", *head, *shown, *tail, f"{dashes}END {kind}{dashes}"]
        names = ("PRIVATE_KEY", "TLS_KEY", "SIGNING_KEY", "DEPLOY_KEY")
        return Secret(form, "\n".join(whole), tuple(body), names)

    return make


# form, template; «V» is the password
CONNECTIONS = (
    ("postgres-url", "postgres://⟦«user»⟧:«V»@⟦«host»⟧:5432/⟦«db»⟧"),
    ("postgresql-url-ssl", "postgresql://⟦«user»⟧_rw:«V»@⟦«host»⟧/⟦«db»⟧?sslmode=require"),
    ("sqlalchemy-url", "postgresql+psycopg2://⟦«user»⟧:«V»@⟦«host»⟧:6432/⟦«db»⟧"),
    ("sqlalchemy-async-url", "mysql+aiomysql://⟦«user»⟧:«V»@⟦«host»⟧/⟦«db»⟧?charset=utf8mb4"),
    ("mysql-url", "mysql://⟦«user»⟧:«V»@⟦«host»⟧:3306/⟦«db»⟧"),
    ("mongodb-srv-url", "mongodb+srv://⟦«user»⟧:«V»@⟦«word».mongodb.net⟧/⟦«db»⟧?retryWrites=true&w=majority"),
    ("mongodb-replica-url", "mongodb://⟦«user»⟧:«V»@⟦«host»⟧:27017,⟦«host2»⟧:27017/⟦«db»⟧?replicaSet=rs0"),
    ("redis-url-no-user", "redis://:«V»@⟦«host»⟧:6379/0"),
    ("rediss-url", "rediss://default:«V»@⟦«host»⟧:6380"),
    ("amqp-url", "amqp://⟦«user»⟧:«V»@⟦«host»⟧:5672/%2f"),
    ("clickhouse-url", "clickhouse://⟦«user»⟧:«V»@⟦«host»⟧:9440/⟦«db»⟧?secure=true"),
    (
        "ado-mssql",
        "Server=tcp:⟦«host»⟧,1433;Initial Catalog=⟦«db»⟧;User ID=⟦«user»⟧;Password=«V»;Encrypt=True;",
    ),
    (
        "ado-mssql-pwd",
        "Driver={ODBC Driver 18 for SQL Server};Server=⟦«host»⟧;Database=⟦«db»⟧;Uid=⟦«user»⟧;Pwd=«V»",
    ),
    ("libpq-dsn", "host=⟦«host»⟧ port=5432 dbname=⟦«db»⟧ user=⟦«user»⟧ password=«V» sslmode=disable"),
    ("jdbc-url", "jdbc:postgresql://⟦«host»⟧:5432/⟦«db»⟧?user=⟦«user»⟧&password=«V»&ssl=true"),
    (
        "jdbc-sqlserver",
        "jdbc:sqlserver://⟦«host»⟧:1433;databaseName=⟦«db»⟧;user=⟦«user»⟧;password=«V»;encrypt=true",
    ),
    ("jdbc-oracle", "jdbc:oracle:thin:⟦«user»⟧/«V»@⟦«host»⟧:1521/⟦«db»⟧"),
    ("go-mysql-dsn", "⟦«user»⟧:«V»@tcp(⟦«host»⟧:3306)/⟦«db»⟧?parseTime=true"),
    ("smtp-url", "smtps://⟦«user»⟧%40⟦«word».dev⟧:«V»@⟦«host»⟧:465"),
    ("ldap-url", "ldaps://cn=⟦«user»⟧:«V»@⟦«host»⟧:636"),
    ("git-remote-user-token", "https://⟦«user»⟧:«V»@⟦«host»⟧/«word»/⟦«db»⟧.git"),
    ("git-remote-oauth2", "https://oauth2:«V»@gitlab.⟦«word».io⟧/infra/⟦«db»⟧.git"),
    ("http-userinfo", "https://⟦«user»⟧:«V»@⟦«host»⟧:8443/⟦api/v2/«word»⟧"),
    ("ftp-userinfo", "ftp://⟦«user»⟧:«V»@⟦«host»⟧/pub/⟦«db»⟧"),
    ("proxy-url", "http://⟦«user»⟧:«V»@⟦«host»⟧:3128"),
    ("index-url", "https://⟦«user»⟧:«V»@⟦«host»⟧/artifactory/api/pypi/⟦«db»⟧/simple"),
)
CONNECTION_NAMES = ("DATABASE_URL", "DB_URL", "SERVICE_URL", "BROKER_URL", "CONNECTION_STRING", "DSN")


def connection(form: str, template: str):
    def make(look: Dice, key: Dice) -> Secret:
        styles = ("letters", "human", "plain", "dashed", "hex", "marked")
        is_url = "://" in template
        word = password(key, look.pick((*styles, "punctuation") if is_url else styles))
        text, keep = fill(template, look, {"V": quote(word, safe="!*~.") if is_url else word})
        return Secret(form, text, (word,), CONNECTION_NAMES, keep=keep)

    return make


def service_account(look: Dice, key: Dice) -> Secret:
    inner = pem("pem-pkcs8", "PRIVATE KEY", (20, 26), 64)(look, key)
    project = look.pick(("acme-prod", "blue-data", "north-ml"))
    key_id = key.text("h", 40)
    document = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": key_id,
        "private_key": inner.text + "\n",
        "client_email": f"robot@{project}.iam.gserviceaccount.com",
        "client_id": look.text("d", 21),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    text = json.dumps(document, indent=look.pick((None, 2, 4)))
    keep = (document["client_email"], document["token_uri"])
    return Secret("gcp-service-account", text, inner.cores, ("GOOGLE_CREDENTIALS",), keep=keep)


def aws_credentials_file(look: Dice, key: Dice) -> Secret:
    ident, word = key.text("t", 16), key.text("B", 40)
    region = look.pick(REGIONS)
    space = look.pick((" = ", "=", " =  "))
    lines = [
        f"[{look.pick(('default', 'staging', 'prod-admin'))}]",
        f"aws_access_key_id{space}AKIA{ident}",
        f"aws_secret_access_key{space}{word}",
        f"region{space}{region}",
    ]
    return Secret(
        "aws-credentials-file", "\n".join(lines), (ident, word), ("AWS_CREDENTIALS",), keep=(region,)
    )


def aws_environment(look: Dice, key: Dice) -> Secret:
    ident, word, session = key.text("t", 16), key.text("B", 40), key.text("B", 200)
    lead = look.pick(("export ", "", "setx ", "$env:"))
    equals, quoted = {"setx ": (" ", "")}.get(lead, ("=", look.pick(('"', "", "'"))))
    pairs = [("AWS_ACCESS_KEY_ID", "ASIA" + ident), ("AWS_SECRET_ACCESS_KEY", word)]
    pairs.append(("AWS_SESSION_TOKEN", "FwoGZXIvYXdz" + session))
    lines = [f"{lead}{name}{equals}{quoted}{value}{quoted}" for name, value in pairs]
    keep = tuple(name for name, _ in pairs)
    return Secret(
        "aws-environment", "\n".join(lines), (ident, word, session), ("AWS_CREDENTIALS",), keep=keep
    )


def aws_sts_answer(look: Dice, key: Dice) -> Secret:
    ident, word, session = key.text("t", 16), key.text("B", 40), key.text("B", 200)
    answer = {
        "Credentials": {
            "AccessKeyId": "ASIA" + ident,
            "SecretAccessKey": word,
            "SessionToken": "IQoJb3JpZ2lu" + session,
            "Expiration": look.iso(),
        }
    }
    text = json.dumps(answer, indent=look.pick((None, 2, 4)))
    return Secret("aws-sts-answer", text, (ident, word, session), ("STS",), keep=("Expiration",))


def makers():
    """Pairs of a form's name and its maker, for secrets that bring their own surroundings."""
    rows = [(row[0], pem(*row)) for row in PEM_KINDS]
    rows += [(form, connection(form, template)) for form, template in CONNECTIONS]
    rows += [
        ("gcp-service-account", service_account),
        ("aws-credentials-file", aws_credentials_file),
        ("aws-environment", aws_environment),
        ("aws-sts-answer", aws_sts_answer),
    ]
    return rows
