"""Secrets in disguise: encoded, escaped, coloured, wrapped, cut into deltas, nested, oddly spelled."""

from __future__ import annotations

import base64
import html
import itertools
import json
from urllib.parse import quote

from tests.redact import contexts, documents, lookalikes, tokens
from tests.redact.carriers import body, carry, event, nested, tool_use, transcript
from tests.redact.model import WORDS, Dice, Secret, Snippet, assemble, fill, neighbours, spellings
from tests.redact.streams import JSON_STREAMS, TEXT_STREAMS, interleaved, stream
from tests.redact.surroundings import surround

TOKENS = dict(tokens.makers())
WELL_KNOWN = [
    "github-pat-classic",
    "github-pat-fine",
    "gitlab-pat",
    "slack-bot",
    "stripe-live",
    "openai-project",
    "anthropic-api",
    "huggingface",
    "npm",
    "sendgrid",
    "digitalocean-pat",
    "shopify-admin",
    "groq",
    "gcp-api-key",
    "jwt-hs256",
    "databricks",
    "vault-service",
]
HARMLESS = (
    "git-commit",
    "uuid",
    "npm-lock",
    "go-sum",
    "docker-digest",
    "client-ids",
    "trace-headers",
    "bundle-names",
    "diff-index",
)
SHORT = [
    "github-pat-classic",
    "gitlab-pat",
    "stripe-live",
    "huggingface",
    "npm",
    "groq",
    "gcp-api-key",
    "databricks",
    "shopify-admin",
]


def known_token(look: Dice, key: Dice, forms=WELL_KNOWN) -> Secret:
    return TOKENS[look.pick(forms)](look, key)


def plain_secret(look: Dice, key: Dice, *styles: str) -> Secret:
    return contexts.generic_secret(look, key, styles or contexts.BARE_STYLES)


def either(look: Dice, key: Dice) -> Secret:
    return known_token(look, key) if look.random() < 0.5 else plain_secret(look, key)


def written(look: Dice, secret: Secret, kind: str, *templates: str, **more: str):
    """A template filled in and put into a record; the usual ending of a builder."""
    values = spellings(look.pick(secret.names)) | {"V": secret.text} | more
    text, keep = fill(look.pick(templates), look, values)
    carrier, record = carry(look, Snippet("text", kind, text, keep, look.path(".txt")))
    return secret.form, carrier, (record,), secret.cores, keep


# Encoded


def base64_pipe(look, key):
    secret = either(look, key)
    code = base64.b64encode(secret.text.encode()).decode()
    shown = (
        "⟦export «N»⟧=$(echo «C» | ⟦base64 -d⟧)",
        "echo '«C»' ⟦| base64 --decode | docker login -u «user» --password-stdin⟧",
    )
    named = ('⟦«N»⟧=$(⟦base64 -d⟧ <<< "«C»")', *shown[:1]) if not secret.bare else shown
    return written(look, secret, "command", *named, C=code)


def base64_kubernetes(look, key):
    secret = either(look, key)
    code = base64.b64encode(secret.text.encode()).decode()
    return written(
        look, secret, "file",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: ⟦«word»-auth⟧\ntype: Opaque\ndata:\n  ⟦«k»⟧: «C»\n",
        "data:\n  ⟦«N»⟧: «C»\n⟦kind: Secret⟧\nmetadata:\n  namespace: ⟦«word»⟧",
        '{"⟦kind⟧":"Secret","data":{"⟦«k»⟧":"«C»"},"metadata":{"name":"⟦«word»⟧"}}',
        C=code,
    )  # fmt: skip


def base64_basic(look, key):
    secret = plain_secret(look, key)
    pair = f"{look.pick(('svc', 'root', 'deploy', 'api'))}:{secret.text}"
    code = base64.b64encode(pair.encode()).decode()
    return written(
        look, secret, "output",
        "⟦GET /«word» HTTP/1.1⟧\r\nAuthorization: Basic «C»\r\n⟦Host: «host»⟧",
        '{"auths": {"⟦«host»⟧": {"auth": "«C»"}}}',
        "⟦headers=⟧{'Authorization': 'Basic «C»'}",
        C=code,
    )  # fmt: skip


def base64_file(look, key):
    secret = either(look, key)
    whole = f"# {look.pick(('local', 'prod'))}\nPORT={look.randint(1000, 9000)}\n{look.pick(secret.names)}={secret.text}\n"
    code = base64.b64encode(whole.encode()).decode()
    wrapped = "\n".join(code[at : at + 76] for at in range(0, len(code), 76))
    return written(
        look,
        secret,
        "output",
        "⟦$ base64 .env⟧\n«C»\n⟦$ exit⟧",
        "⟦ENV_FILE=⟧«C»",
        C=look.pick((code, wrapped)),
    )


def base64_url_safe(look, key):
    secret = known_token(look, key)
    code = base64.urlsafe_b64encode(secret.text.encode()).decode().rstrip("=")
    return written(
        look, secret, "prose", "⟦https://«host»/cb?state=⟧«C»", "⟦cookie value of «user»:⟧ «C»", C=code
    )


def base64_twice(look, key):
    secret = known_token(look, key)
    code = base64.b64encode(base64.b64encode(secret.text.encode())).decode()
    return written(look, secret, "output", "⟦payload of «word»:⟧ «C»", "⟦«N»⟧: «C»\n⟦port: «port»⟧", C=code)


def base64_powershell(look, key):
    secret = known_token(look, key, SHORT)
    command = f"$env:{look.pick(secret.names)}='{secret.text}'; ./run.ps1"
    code = base64.b64encode(command.encode("utf-16-le")).decode()
    return written(
        look,
        secret,
        "command",
        "⟦powershell -NoProfile⟧ -EncodedCommand «C»",
        "⟦pwsh⟧ -enc «C» ⟦| tee «word».log⟧",
        C=code,
    )


def quoted_printable(look, key):
    """A mail's soft line breaks in the midst of the value."""
    secret = known_token(look, key)
    cut = look.randint(6, len(secret.text) - 6)
    code = secret.text[:cut] + "=\n" + secret.text[cut:]
    return written(
        look, secret, "output", "⟦Subject: access to «word»⟧\n\n⟦Your token is=20⟧«C»\n⟦Best, «user»⟧", C=code
    )


def escaped_unicode(look, key):
    """Written as \\uXXXX in a text that is itself decoded from JSON."""
    secret = either(look, key)
    whole = look.random() < 0.5
    code = "".join(f"\\u{ord(one):04x}" if whole or look.random() < 0.4 else one for one in secret.text)
    return written(
        look,
        secret,
        "output",
        '⟦response:⟧ {"«n»": "«C»", "⟦host⟧": "«host»"}',
        '⟦«word»⟧.«c» = "«C»";',
        C=code,
    )


def escaped_at_json_level(look, key):
    """The record itself spells plain letters as \\uXXXX."""
    secret = either(look, key)
    name = look.pick(secret.names)
    code = "".join(f"\\u{ord(one):04x}" if look.random() < 0.5 else one for one in secret.text)
    region = look.pick(("eu-west-1", "us-east-2"))
    text = json.dumps({"kind": "config.read", "session": "s", "fields": {"region": region, name: "@"}})
    return (
        secret.form,
        "json-escaped-letters",
        (text.replace('"@"', f'"{code}"').encode(),),
        secret.cores,
        (name, region),
    )


def escaped_hex(look, key):
    secret = known_token(look, key)
    code = "".join(f"\\x{ord(one):02x}" for one in secret.text)
    return written(
        look, secret, "file", 'const ⟦«c»⟧ = "«C»";', "⟦«N»⟧=$'«C»'", "printf '«C»' > ⟦/tmp/«word»⟧", C=code
    )


def percent_encoded(look, key):
    secret = either(look, key) if look.random() < 0.5 else plain_secret(look, key, "punctuation")
    every = look.random() < 0.5
    code = "".join(f"%{ord(one):02X}" for one in secret.text) if every else quote(secret.text, safe="")
    code = code.replace("-", "%2D").replace("_", "%5F")
    if look.random() < 0.3:
        code = quote(code, safe="")
    return written(
        look, secret, "prose",
        "⟦https://«host»/cb?«word»=1⟧&access_token=«C»",
        "⟦POST «host»⟧ grant_type=password&⟦username=«user»⟧&password=«C»",
        "⟦GET /login?next=⟧%2F«word»%3Ftoken%3D«C»",
        C=code,
    )  # fmt: skip


def in_markup(look, key):
    """XML, HTML and CSV, where the name stands in another cell, attribute or element."""
    secret = plain_secret(look, key, "human", "letters", "long", "dashed", "punctuation")
    code = html.escape(secret.text)
    cell = secret.text.replace('"', '""')
    return written(
        look, secret, "file",
        "<config>\n  <user>⟦«user»⟧</user>\n  <password>«C»</password>\n</config>",
        '<add key="⟦«P»⟧" value="«C»" />\n<add key="⟦Region⟧" value="⟦«region»⟧" />',
        '<datasource ⟦username="«user»"⟧ password="«C»" ⟦pool="«num»"⟧/>',
        '<input type="password" ⟦name="«word»"⟧ value="«C»">',
        '<meta name="csrf-token" content="«C»">\n<title>⟦«word»⟧</title>',
        "<entry><string>⟦«N»⟧</string><string>«C»</string></entry>",
        C=code,
    ) if look.random() < 0.7 else written(
        look, secret, "file",
        'user,password,host\n⟦«user»⟧,"«C»",⟦«host»⟧\n',
        'name,url,username,password\n⟦«word»⟧,⟦https://«host»⟧,⟦«user»⟧,"«C»"\n',
        'id;«n»;note\n⟦«num»⟧;"«C»";⟦«word»⟧\n',
        C=cell,
    )  # fmt: skip


# Broken up


def coloured(look, key):
    """Colour codes before, after and inside the value, as grep, pytest and bat print them."""
    secret = (
        known_token(look, key, SHORT) if look.random() < 0.6 else plain_secret(look, key, "letters", "long")
    )
    middle = len(secret.text) // 2
    start, end = look.pick(
        (("\x1b[01;31m\x1b[K", "\x1b[m\x1b[K"), ("\x1b[32m", "\x1b[0m"), ("\x1b[1;38;5;214m", "\x1b[0m"))
    )
    pieces = [start + secret.text[:middle] + end, secret.text[middle:]]
    if look.random() < 0.5:
        third = len(secret.text) // 3
        pieces = [secret.text[:third], start, secret.text[third : 2 * third], end, secret.text[2 * third :]]
    return written(
        look, secret, "output",
        "⟦$ grep -rn «word» .⟧\n⟦.env:2⟧:«N»=«C»\n",
        "⟦.env⟧\x1b[36m:\x1b[0m\x1b[33m«N»\x1b[0m=«C»\n⟦done in «ms» ms⟧",
        C="".join(pieces),
    )  # fmt: skip


def coloured_name(look, key):
    """The value is whole, its name is painted."""
    secret = plain_secret(look, key)
    return written(
        look, secret, "output",
        "\x1b[34m⟦«n»⟧\x1b[0m: \x1b[32m«V»\x1b[0m\n\x1b[34m⟦port⟧\x1b[0m: «port»",
        '\x1b[94m"⟦«n»⟧"\x1b[39;49;00m:\x1b[37m \x1b[33m"«V»"\x1b[39;49;00m',
        "\x1b[1mpassword\x1b[0m=«V» ⟦user=«user»⟧",
    )  # fmt: skip


def wrapped_terminal(look, key):
    """A terminal cut the line at its width, in the midst of the value."""
    secret = known_token(look, key)
    width = look.pick((76, 80, 100))
    name = look.pick(secret.names)
    lead = f"{look.pick(('export ', '> ', '', 'Run: '))}{name}="
    lead = (
        lead.rjust(look.randint(len(lead), width - 6), ".") if len(secret.text) < width - len(lead) else lead
    )
    whole = lead + secret.text + f" && make {look.pick(('build', 'release'))}"
    lines = [whole[at : at + width] for at in range(0, len(whole), width)]
    boxed = look.random() < 0.4
    text = "\n".join(f"│ {line:<{width}} │" for line in lines) if boxed else "\n".join(lines)
    carrier, record = carry(look, Snippet("boxed" if boxed else "wrapped", "output", text, (name,)))
    return secret.form, carrier, (record,), secret.cores, (name,)


def continued_lines(look, key):
    """A shell's backslash or a language's string joining in the midst of the value."""
    secret = known_token(look, key)
    places = sorted(look.sample(range(6, len(secret.text) - 5), look.randint(1, 2)))
    borders = [0, *places, len(secret.text)]
    pieces = [secret.text[start:end] for start, end in itertools.pairwise(borders)]
    return written(
        look, secret, "file",
        "export ⟦«N»⟧=«B»\n⟦make «word»⟧",
        '⟦«N»⟧ = (\n    "«P2»"\n)\n⟦PORT = «port»⟧',
        "const ⟦«c»⟧ = '«PLUS»';\n⟦run(«num»);⟧",
        "⟦«N»⟧ = «B»\n⟦# end of «word»⟧",
        B="\\\n".join(pieces), P2='"\n    "'.join(pieces), PLUS="' +\n  '".join(pieces),
    )  # fmt: skip


def streamed_token(look, key):
    secret = known_token(look, key)
    carrier = look.pick(tuple(TEXT_STREAMS))
    snippet = surround(secret, look, look.pick(("prose", "markdown", "output", "shell")))
    send = interleaved if look.random() < 0.25 else stream
    return secret.form, carrier, send(look, snippet, secret.cores, carrier), secret.cores, snippet.keep


def streamed_generic(look, key):
    secret = plain_secret(look, key)
    carrier = look.pick(tuple(TEXT_STREAMS))
    template = look.pick(
        (
            "⟦The setting is⟧ «N»=«V» ⟦for «word»⟧",
            "password: «V»\n⟦host: «host»⟧",
            "⟦curl -H⟧ 'Authorization: Bearer «V»' ⟦https://«host»⟧",
        )
    )
    text, keep = fill(template, look, spellings(look.pick(secret.names)) | {"V": secret.text})
    return (
        secret.form,
        carrier,
        stream(look, Snippet("text", "prose", text), secret.cores, carrier),
        secret.cores,
        keep,
    )


def streamed_arguments(look, key):
    secret = known_token(look, key)
    carrier = look.pick(tuple(JSON_STREAMS))
    snippet = surround(secret, look, "shell")
    return secret.form, carrier, stream(look, snippet, secret.cores, carrier), secret.cores, snippet.keep


def streamed_document(look, key):
    form, make = look.pick(documents.makers())
    secret = make(look, key)
    carrier = look.pick(tuple(TEXT_STREAMS))
    snippet = Snippet("text", "prose", f"Here it is:\n{secret.text}\nGood luck.")
    visible = tuple(core for core in secret.cores if core in snippet.text)
    if not visible:
        return streamed_generic(look, key)
    return form, carrier, stream(look, snippet, visible, carrier), visible, ("Here it is:", "Good luck.")


# Structured


def keyed_shapes(look, key):
    """A telling key over arrays and nested objects; the leaf's own name says nothing."""
    several = [plain_secret(look, key) for _ in range(look.randint(2, 3))]
    one = several[0]
    around = neighbours(look)
    values = [each.text for each in several]
    owners = dict(zip(("mail", "billing", "search"), values, strict=False))
    shape, used = look.pick(
        (
            ({"passwords": values, "host": around["host"]}, several),
            ({"secrets": owners, "host": around["host"]}, several),
            ({"credentials": {"user": "svc", "password": {"current": one.text}}, "host": around["host"]}, [one]),
            ({"db": {"auth": {"passwd": one.text, "tls": True}}, "host": around["host"]}, [one]),
            ({"api_keys": [{"id": 1, "key": one.text}], "host": around["host"]}, [one]),
            ({"tokens": {"access_token": values[0], "refresh_token": values[1]}, "host": around["host"]}, several[:2]),
            ({"apiKey": {"value": one.text, "created": around["iso"]}, "host": around["host"]}, [one]),
            ({"env": [f"SMTP_PASSWORD={one.text}", "LANG=C"], "host": around["host"]}, [one]),
            ({"argv": ["worker", "--password", one.text, "--port", "8080"], "host": around["host"]}, [one]),
            ({"argv": ["worker", f"--token={one.text}"], "host": around["host"]}, [one]),
            ({"headers": [["Authorization", f"Bearer {one.text}"], ["Host", around["host"]]]}, [one]),
            ({"headers": [{"name": "X-Api-Key", "value": one.text}], "host": around["host"]}, [one]),
            ({"columns": ["user", "password"], "rows": [["mara", one.text]], "host": around["host"]}, [one]),
        )
    )  # fmt: skip
    depth = look.randrange(4)
    fields = {"payload": nested(look, shape, depth)} if depth else {"config": shape}
    if look.random() < 0.4:
        record = transcript(look, "assistant", [tool_use(look, "mcp__ops__apply", fields)])
        carrier = f"nested-claude-{depth}"
    else:
        record, carrier = event(look, "tool.used", **fields), f"nested-event-{depth}"
    return "keyed-shape", carrier, (body(look, record),), tuple(each.text for each in used), (around["host"],)


def token_as_key(look, key):
    """The secret is itself the name of a field."""
    secret = known_token(look, key, SHORT)
    host = look.host()
    record = event(look, "cache.read", entries={secret.text: {"host": host, "hits": 3}})
    return secret.form, "json-key", (body(look, record),), secret.cores, (host,)


def glued(look, key):
    """A known token with other signs directly at its ends."""
    secret = known_token(look, key, SHORT)
    return written(
        look, secret, "output",
        "⟦x=1⟧&t=«V»&⟦y=2⟧", "⟦(«word»)⟧[«V»]", "⟦«word»:⟧«V»,⟦«word2»⟧", "⟦«user»:⟧«V»@⟦«host»⟧",
        "⟦git clone⟧ https://«V»@⟦github.com/«word»/«word2».git⟧",
        "⟦origin⟧\thttps://x-access-token:«V»@⟦github.com/«word»⟧ (fetch)",
        "⟦/cache/«word»/⟧«V»/index.json", "⟦«word»⟧|«V»|⟦«word2»⟧", "⟦«word»⟧=<«V»>;⟦«word2»⟧", "⟦a⟧\t«V»\t⟦«word»⟧",
        "«V»:⟦«word»⟧", "⟦tokens:⟧ «V»,«V»,«V»",
    )  # fmt: skip


def harmless_lines(look, count):
    """Look-alikes that have to survive beside a secret."""
    lines = []
    for form in look.sample(HARMLESS, count):
        _, templates = lookalikes.FORMS[form]
        drawn, _ = assemble(look.pick(templates), look)
        lines.append(fill(drawn, look, {})[0])
    return lines


def buried(look, key):
    """One secret in the midst of a long harmless text."""
    secret = either(look, key)
    around = harmless_lines(look, 6)
    filler = [
        f"{look.iso()} INFO {look.pick(WORDS)} step {step} done" for step in range(look.randint(5, 300))
    ]
    values = spellings(look.pick(secret.names)) | {"V": secret.text}
    line, keep = fill(look.pick(("⟦«N»⟧=«V»", "⟦«n»⟧: «V»", '"⟦«c»⟧": "«V»",')), look, values)
    place = look.randint(0, 6)
    text = "\n".join([*around[:place], *filler, line, *filler[:9], *around[place:]])
    carrier, record = carry(look, Snippet("long", "output", text))
    return secret.form, carrier, (record,), secret.cores, (*keep, *around)


def several_kinds(look, key):
    """Secrets of different kinds in one text, harmless lines between them."""
    secrets = [known_token(look, key) for _ in range(2)] + [plain_secret(look, key) for _ in range(2)]
    form = look.pick(("pem-openssh", "pem-pkcs8", "postgres-url", "aws-credentials-file"))
    whole = dict(documents.makers())[form](look, key)
    lines = [f"{look.pick(one.names)}={one.text}" for one in secrets] + [whole.text]
    look.shuffle(lines)
    around = harmless_lines(look, len(lines))
    text = "\n".join(part for pair in zip(lines, around, strict=True) for part in pair)
    carrier, record = carry(look, Snippet("several", "output", text))
    cores = tuple(core for one in (*secrets, whole) for core in one.cores)
    return "several", carrier, (record,), cores, tuple(around)


def multi_line_value(look, key):
    """A value of several lines under a telling name."""
    lines = [key.text("b", look.randint(24, 48)) for _ in range(look.randint(2, 4))]
    secret = Secret(
        "multi-line", "\n".join(lines), tuple(lines), ("SIGNING_SECRET", "SECRET_KEY", "ENCRYPTION_KEY")
    )
    return written(
        look, secret, "file",
        "⟦«n»⟧: |\n  «Y»\n⟦port: «port»⟧", '⟦«N»⟧="«V»"\n⟦PORT=«port»⟧', '⟦«n»⟧ = """\n«V»\n"""\n⟦region = "«region»"⟧',
        "⟦«n»⟧: >-\n    «F»\n⟦user: «user»⟧", '{"⟦«n»⟧": «J», "⟦region⟧": "«region»"}',
        Y="\n  ".join(lines), F="\n    ".join(lines), J=json.dumps(secret.text),
    )  # fmt: skip


def punctuated(look, key):
    secret = plain_secret(look, key, "punctuation")
    return written(
        look, secret, "file",
        '⟦«n»⟧ = "«V»"\n⟦port = «port»⟧', '{"⟦«n»⟧": «J», "⟦host⟧": "«host»"}', "export ⟦«N»⟧='«V»'\n⟦make «word»⟧",
        "⟦«n»⟧: '«V»'\n⟦host: «host»⟧", "⟦connect(⟧password='«V»', ⟦port=«port»)⟧", "⟦./«word»⟧ --password '«V»' ⟦--host «host»⟧",
        J=json.dumps(secret.text),
    )  # fmt: skip


def unicode_password(look, key):
    secret = plain_secret(look, key, "unicode")
    return written(
        look, secret, "file",
        '⟦«n»⟧ = "«V»"\n⟦port = «port»⟧', '{"⟦«n»⟧": «J», "⟦host⟧": "«host»"}', "⟦das Passwort für «word» ist⟧ «V»",
        "password: «V»\n⟦host: «host»⟧", "⟦パスワード⟧: «V»\n⟦ホスト: «host»⟧", "пароль: «V»\n⟦хост: «host»⟧",
        J=json.dumps(secret.text),
    )  # fmt: skip


def passphrase(look, key):
    """Words with spaces, as password managers and crypto tools suggest."""
    words = [key.syllables(3) for _ in range(look.randint(4, 6))]
    secret = Secret(
        "passphrase", " ".join(words), tuple(words), ("VPN_PASSPHRASE", "SSH_PASSPHRASE", "BACKUP_PASSWORD")
    )
    return written(
        look, secret, "file",
        '⟦«n»⟧ = "«V»"\n⟦port = «port»⟧', "⟦«N»⟧='«V»'\n⟦HOST=«host»⟧", '{"⟦«n»⟧": "«V»", "⟦host⟧": "«host»"}',
        '⟦ssh-keygen -t ed25519⟧ -N "«V»" ⟦-f id_«word»⟧', '⟦The passphrase for «word» is⟧ "«V»"⟦.⟧',
    )  # fmt: skip


def changed_password(look, key):
    """A diff with the old and the new value."""
    old, new = (plain_secret(look, key, "letters", "human", "long") for _ in range(2))
    both = Secret("password-change", new.text, (old.text, new.text), old.names)
    return written(
        look, both, "output",
        "@@ -2,2 +2,2 @@ ⟦db:⟧\n-  ⟦«n»⟧: «OLD»\n+  ⟦«n»⟧: «V»\n   ⟦host: «host»⟧",
        '--- a/.env\n+++ b/.env\n-⟦«N»⟧=«OLD»\n+⟦«N»⟧="«V»"\n ⟦PORT=«port»⟧',
        '⟦  ~⟧ «n» = "«OLD»" -> "«V»" ⟦# forces replacement⟧',
        "⟦changed the password of «user» from⟧ «OLD» ⟦to⟧ «V»",
        OLD=old.text,
    )  # fmt: skip


def traceback(look, key):
    secret = plain_secret(look, key, "letters", "plain", "dashed", "hex")
    return written(
        look, secret, "output",
        "⟦Traceback (most recent call last):⟧\n  File \"/srv/⟦«word».py⟧\", line «num», in connect\n    conn = connect(password='«V»')\n"
        "⟦OperationalError: timeout expired⟧",
        "⟦sqlalchemy.exc.OperationalError⟧: could not connect to postgresql://⟦«user»⟧:«V»@⟦«host»⟧/⟦«db»⟧\n⟦(Background on this error)⟧",
        "⟦requests.exceptions.HTTPError: 401 Client Error⟧ for url: ⟦https://«host»/v1⟧?api_key=«V»",
        "⟦panic: dial tcp «ip»⟧: config={⟦User:«user»⟧ Password:«V» ⟦Port:«port»⟧}\n\n⟦goroutine 1 [running]:⟧",
        "⟦E   AssertionError⟧: assert Settings(⟦host='«host»'⟧, «n»='«V»') == None",
        "⟦locals:⟧ {'⟦host⟧': '«host»', '«n»': '«V»'}",
    )  # fmt: skip


def quoted_shell(look, key):
    """Quotes within quotes: a remote shell, a JSON body on a command line."""
    secret = either(look, key)
    return written(
        look, secret, "command",
        "⟦ssh «host»⟧ \"export «N»='«V»'; ⟦./run «word»⟧\"", "⟦bash -c⟧ 'echo \"password=«V»\" >> ⟦/etc/«word»⟧'",
        '⟦curl https://«host»⟧ -d "{\\"⟦user⟧\\":\\"«user»\\",\\"password\\":\\"«V»\\"}"',
        "⟦python -c⟧ \"import os; os.environ['«N»'] = '«V»'; ⟦import «word»⟧\"",
        "⟦docker run⟧ -e \"«N»=«V»\" ⟦«word»:latest sh -c 'env | wc -l'⟧",
    )  # fmt: skip


def odd_spelling(look, key):
    """Names as they are misspelt, abbreviated and translated."""
    secret = plain_secret(look, key)
    return written(
        look, secret, "output",
        "PaSsWoRd = «V»\n⟦ok⟧", "⟦«word»⟧Pwd=«V»", "password => «V»\n⟦user => «user»⟧", "password ->  «V»", '⟦db⟧_pass := "«V»"',
        "password\t«V»\n⟦user\t«user»⟧", "PASSWORD\n«V»\n", "contraseña: «V»\n⟦usuario: «user»⟧", 'mot_de_passe = "«V»"', "Kennwort = «V»",
        "API key:\n\n    «V»\n\n⟦Keep it.⟧", "| password | «V» |\n| ⟦user⟧ | ⟦«user»⟧ |", ':password "«V»" ⟦:user "«user»"⟧', "password(«V»)",
        "<password>: «V»", "**Password:** `«V»`", "pw: «V» ⟦/ user: «user»⟧", "secret=«V»;⟦user=«user»⟧",
    )  # fmt: skip


BUILDERS = {
    "base64-pipe": (base64_pipe, 4),
    "base64-kubernetes": (base64_kubernetes, 5),
    "base64-basic": (base64_basic, 4),
    "base64-file": (base64_file, 4),
    "base64-url-safe": (base64_url_safe, 2),
    "base64-twice": (base64_twice, 2),
    "base64-powershell": (base64_powershell, 2),
    "quoted-printable": (quoted_printable, 2),
    "escaped-unicode": (escaped_unicode, 5),
    "escaped-json-level": (escaped_at_json_level, 4),
    "escaped-hex": (escaped_hex, 3),
    "percent-encoded": (percent_encoded, 6),
    "markup": (in_markup, 10),
    "coloured": (coloured, 5),
    "coloured-name": (coloured_name, 3),
    "wrapped-terminal": (wrapped_terminal, 6),
    "continued-lines": (continued_lines, 5),
    "streamed-token": (streamed_token, 14),
    "streamed-generic": (streamed_generic, 7),
    "streamed-arguments": (streamed_arguments, 4),
    "streamed-document": (streamed_document, 5),
    "keyed-shapes": (keyed_shapes, 13),
    "token-as-key": (token_as_key, 2),
    "glued": (glued, 7),
    "buried": (buried, 7),
    "several-kinds": (several_kinds, 5),
    "multi-line": (multi_line_value, 5),
    "punctuated": (punctuated, 5),
    "unicode-password": (unicode_password, 5),
    "passphrase": (passphrase, 4),
    "changed-password": (changed_password, 4),
    "traceback": (traceback, 6),
    "quoted-shell": (quoted_shell, 4),
    "odd-spelling": (odd_spelling, 8),
}
