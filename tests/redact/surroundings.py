"""The texts secrets stand in: prose, shells, source code, configuration, logs, HTTP and diffs.

In the templates «V» is the value, «Q» the value quoted as a shell or YAML reader needs it, «N», «n», «c», «k», «P»
are spellings of its name, and ⟦…⟧ marks what has to survive.
"""

from __future__ import annotations

from json import dumps

from tests.redact.model import Dice, Secret, Snippet, fill, secret_values

# setting -> (kind, file ending, templates that name the value, templates that do not)
SETTINGS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "prose": (
        "prose",
        ".txt",
        (
            "⟦Please use this for the «word» deploy:⟧ «N»=«V»",
            "⟦I set⟧ `«N»` ⟦to⟧ `«V»` ⟦and the job still fails with a 403.⟧",
            "«N» is «V» ⟦— keep it out of the repository, «user».⟧",
            "⟦For «host» the⟧ «said» ⟦is⟧ «V»",
            "⟦Hi «user»,⟧\n\n«said»: «V»\n\n⟦Thanks, the «word» team⟧",
            '⟦Set⟧ «N» ⟦to⟧ "«V»" ⟦in «word» before you start.⟧',
        ),
        (
            "⟦Please use⟧ «V» ⟦for the «word» deploy.⟧",
            "«V» ⟦is what «user» sent me yesterday⟧",
            "⟦It worked with⟧ `«V»`⟦, so the «word» service is fine.⟧",
            '⟦The old one was⟧ ("«V»")⟦; can you rotate it on «host»?⟧',
            "⟦try again with this one:⟧\n«V»",
            "⟦Der Schlüssel für «word» lautet⟧ «V»⟦, bitte nicht weitergeben.⟧",
            "⟦we moved to «region» →⟧ «V»",
        ),
    ),
    "shell": (
        "command",
        ".sh",
        (
            "export ⟦«N»⟧=«Q» && ⟦make «word»-deploy⟧",
            "⟦«N»⟧=«Q» ⟦python -m «word».sync --region «region»⟧",
            "⟦cd /srv/«word»⟧ && export ⟦«N»⟧=«Q»; ⟦./run.sh⟧",
            "docker run --rm -e ⟦«N»⟧=«Q» -p 8080:8080 ⟦«word»/«word2»:1.4.2⟧",
            "gh secret set ⟦«N»⟧ --body «Q» --repo ⟦«word»/«word2»⟧",
            "echo '⟦«N»⟧=«V»' >> ⟦.env.local⟧",
            "kubectl create secret generic ⟦«word»-auth⟧ --from-literal=⟦«N»⟧=«Q» ⟦-n «word2»⟧",
            "set -x ⟦«N»⟧ «Q»\n⟦npm run «word»⟧",
            "heroku config:set ⟦«N»⟧=«Q» -a ⟦«word»-«word2»⟧",
            '$env:⟦«N»⟧ = "«V»"; ⟦dotnet run --project «word»⟧',
        ),
        (
            'curl -sS -H "Authorization: Bearer «V»" ⟦https://«host»/v1/«word»⟧',
            "curl ⟦https://«host»/api/«word»⟧ --header 'Authorization: token «V»' ⟦| jq .items⟧",
            '⟦http GET https://«host»/«word»⟧ Authorization:"Bearer «V»"',
            'echo "«V»" | ⟦docker login ghcr.io -u «user» --password-stdin⟧',
            "⟦grep -rn⟧ '«V»' ⟦./«word» --include=*.py⟧",
            'wget --header="X-Auth-Token: «V»" ⟦https://«host»/«word».tar.gz⟧',
            "⟦./«word» login --host «host»⟧ --token «Q»",
        ),
    ),
    "output": (
        "output",
        ".log",
        (
            "$ printenv | sort\n⟦HOME=/home/«user»⟧\n⟦«N»⟧=«V»\n⟦LANG=en_US.UTF-8⟧\n",
            "⟦+ export⟧ «N»=«V»\n⟦+ ./deploy.sh «word»⟧\n⟦deployed in «ms» ms⟧",
            "⟦.env:3:⟧«N»=«V»\n⟦README.md:14:see «word» for details⟧",
            "     1\t⟦# «word»⟧\n     2\t⟦«N»⟧=«Q»\n     3\t⟦REGION=«region»⟧",
            '     1→⟦import os⟧\n     2→⟦«N»⟧ = "«V»"\n     3→⟦PORT = 8080⟧',
            "«N»: «V»\n⟦status: active⟧\n⟦created: «iso»⟧",
            "environ({'⟦HOME⟧': '/home/«user»', '⟦«N»⟧': '«V»', 'PWD': '⟦/srv/«word»⟧'})",
        ),
        (
            "⟦Created token for «user» («word»)⟧\n«V»\n⟦Store it now, it is not shown again.⟧",
            "⟦«hex7»⟧ (HEAD -> main) ⟦add «word»⟧\n  found: «V»\n⟦1 result in «ms» ms⟧",
            "| id | value | owner |\n|----|-------|-------|\n| «num» | «V» | ⟦«user»⟧ |",
            "⟦$ cat token.txt⟧\n«V»\n$",
            "⟦config.yml:12:⟧    auth: «V»",
        ),
    ),
    "env-file": (
        "file",
        ".env",
        (
            "⟦# «word» settings⟧\n⟦APP_ENV=production⟧\n⟦«N»⟧=«Q»\n⟦PORT=«port»⟧\n",
            "⟦«N»⟧=«Q»\n",
            "⟦REGION=«region»⟧\nexport ⟦«N»⟧=«Q»   # from «user»\n⟦DEBUG=0⟧",
            "⟦LOG_LEVEL=debug⟧\n⟦«N»⟧ = «Q»\n⟦HOSTNAME=«host»⟧",
            "⟦NEXT_PUBLIC_SITE=https://«host»⟧\n⟦VITE_«N»⟧='«V»'\n",
        ),
        (),
    ),
    "python": (
        "file",
        ".py",
        (
            'import os\n\n⟦«N»⟧ = "«V»"\n⟦TIMEOUT = 30⟧\n',
            "⟦client = Client(⟧«n»='«V»', ⟦region=\"«region»\"⟧)",
            "os.environ['⟦«N»⟧'] = \"«V»\"  ⟦# «word»⟧",
            'settings = {\n    "⟦«n»⟧": "«V»",\n    "host": "⟦«host»⟧",\n}',
            "⟦def main() -> None:⟧\n    «n»: str = '«V»'\n    ⟦run(«word»)⟧",
            'monkeypatch.setenv("⟦«N»⟧", "«V»")',
            '«n» = os.getenv("⟦«N»⟧", "«V»")',
        ),
        (
            '⟦r = requests.get(url, headers=⟧{"Authorization": "Bearer «V»"}⟦, timeout=«num»)⟧',
            '⟦login(⟧"«V»"⟦)⟧',
            "⟦assert parse(⟧'«V»'⟦).kind == «word»⟧",
        ),
    ),
    "javascript": (
        "file",
        ".ts",
        (
            "const ⟦«c»⟧ = '«V»';\n⟦app.listen(«port»);⟧",
            "export default {\n  ⟦«c»⟧: \"«V»\",\n  ⟦region: '«region»',⟧\n};",
            "process.env.⟦«N»⟧ = `«V»`;",
            "⟦const client = new «P»Client(⟧{ «c»: '«V»' }⟦);⟧",
            "⟦const «c» = process.env.«N»⟧ || '«V»';",
            'window.__CONFIG__={⟦"env":"prod"⟧,"«c»":"«V»"}',
        ),
        (
            "⟦await fetch(`https://«host»/«word»`,⟧ { headers: { Authorization: `Bearer «V»` } }⟦);⟧",
            "⟦expect(mask(⟧'«V»'⟦)).toBe('***');⟧",
        ),
    ),
    "other-code": (
        "file",
        ".go",
        (
            'const ⟦«P»⟧ = "«V»"\n\n⟦func main() { serve(":«port»") }⟧',
            '⟦«c»⟧ := "«V»" ⟦// «word»⟧',
            'private static final String ⟦«N»⟧ = "«V»";\n⟦private int «word» = «num»;⟧',
            'let ⟦«n»⟧ = "«V»";\n⟦let port: u16 = «port»;⟧',
            "⟦config.«n»⟧ = '«V»'\n⟦config.region = '«region»'⟧",
            "⟦define('«N»',⟧ '«V»');\n⟦$«word» = «num»;⟧",
            'public string ⟦«P»⟧ { get; set; } = "«V»";',
            '⟦val «c»: String⟧ = "«V»"',
            '#define ⟦«N»⟧ "«V»"\n⟦#define PORT «port»⟧',
        ),
        ('⟦req.Header.Set("Authorization",⟧ "Bearer «V»")\n⟦res, err := client.Do(req)⟧',),
    ),
    "yaml": (
        "file",
        ".yaml",
        (
            "⟦region: «region»⟧\n⟦«n»⟧: «Q»\n⟦replicas: 3⟧\n",
            "env:\n  - name: ⟦«N»⟧\n    value: «Q»\n  - name: ⟦REGION⟧\n    value: ⟦«region»⟧\n",
            'services:\n  ⟦«word»:⟧\n    environment:\n      ⟦«N»⟧: "«V»"\n      ⟦PORT: "«port»"⟧',
            "environment:\n  - ⟦«N»⟧=«V»\n  - ⟦PORT=«port»⟧",
            "⟦«word»⟧:\n    ⟦host: «host»⟧\n    ⟦«c»⟧: '«V»'",
            '⟦«k»⟧:   "«V»"   ⟦# for «user»⟧',
        ),
        ("⟦«word»:⟧\n  value: «Q»\n  ⟦owner: «user»⟧",),
    ),
    "toml-ini": (
        "file",
        ".toml",
        (
            '[⟦«word»⟧]\n⟦«n»⟧ = "«V»"\n⟦port = «port»⟧\n',
            "[⟦«word»⟧]\n⟦«n»⟧=«V»\n⟦user=«user»⟧",
            "⟦«word»⟧.«dot»=«V»\n⟦server.port=«port»⟧",
            "[env]\n⟦«N»⟧ = '«V»'",
            "⟦provider.region⟧ = «region»\n⟦«c»⟧ : «V»",
        ),
        (),
    ),
    "json-file": (
        "file",
        ".json",
        (
            '{\n  "⟦«n»⟧": "«V»",\n  "region": "⟦«region»⟧"\n}',
            '{"env":{"⟦«N»⟧":"«V»"},"port":⟦«port»⟧}',
            '{"⟦name⟧": "«N»", "⟦value⟧": "«V»"}',
            '{ "mcpServers": { "⟦«word»⟧": { "command": "npx", "env": { "⟦«N»⟧": "«V»" } } } }',
            '[{"⟦«c»⟧" : "«V»"}, {"host" : "⟦«host»⟧"}]',
        ),
        ('{"⟦headers⟧": {"authorization": "Bearer «V»"}, "url": "⟦https://«host»/«word»⟧"}',),
    ),
    "markdown": (
        "prose",
        ".md",
        (
            "⟦## Setup⟧\n\n```bash\nexport ⟦«N»⟧=«Q»\n```\n\n⟦Then start «word».⟧",
            "⟦| Name | Value |⟧\n|---|---|\n| ⟦«N»⟧ | `«V»` |\n| ⟦REGION⟧ | ⟦«region»⟧ |",
            "- **⟦«N»⟧**: `«V»`\n- **Host**: ⟦«host»⟧",
            "⟦1. Open «host»⟧\n2. Set `⟦«N»⟧` = `«V»`\n⟦3. Restart «word»⟧",
        ),
        (
            "⟦Use the⟧ [link](https://⟦«host»⟧/?t=1) ⟦with⟧ `«V»`\n\n> ⟦do not commit it⟧",
            "```\n«V»\n```\n⟦That is the one for «word».⟧",
        ),
    ),
    "diff": (
        "output",
        ".diff",
        (
            (
                "diff --git a/.env b/.env\nindex «hex7»..⟦e69de29⟧ 100644\n--- a/.env\n+++ b/.env\n@@ -1,2 +1,3 @@\n"
                " ⟦APP_ENV=production⟧\n+⟦«N»⟧=«V»\n ⟦PORT=«port»⟧"
            ),
            '--- a/⟦«word».py⟧\n+++ b/⟦«word».py⟧\n@@ -4,1 +4,1 @@\n-⟦«N»⟧ = "«V»"\n+⟦«N» = os.environ["«N»"]⟧',
            "@@ -10,3 +10,3 @@ ⟦spec:⟧\n     env:\n-      - ⟦REGION=«region»⟧\n+      - ⟦«N»⟧=«V»",
        ),
        ("@@ -1 +1 @@\n-⟦# «word»⟧\n+«V»\n",),
    ),
    "log-line": (
        "output",
        ".log",
        (
            "⟦«iso» INFO «word»: loaded config⟧ «N»=«V» ⟦port=«port»⟧",
            "⟦«date» «clock»,«ms» DEBUG [«word»]⟧ env {'«N»': '«V»', 'REGION': '⟦«region»⟧'}",
            '{"level":"⟦info⟧","ts":"⟦«iso»⟧","msg":"⟦started «word»⟧","«c»":"«V»"}',
            '⟦time=«iso» level=warn⟧ «n»="«V»" ⟦took=«ms»ms⟧',
        ),
        (
            "⟦[«date» «clock»] «word».WARNING: rejected key⟧ «V» ⟦from «ip»⟧",
            '⟦«ip» - - "GET /«word» HTTP/1.1" 401⟧ auth="Bearer «V»"',
            "⟦«clock» ERROR «word»[«pid»]: 401 for⟧ «V»⟦: no such project⟧",
        ),
    ),
    "http": (
        "output",
        ".http",
        (
            'POST ⟦/v1/«word»⟧ HTTP/1.1\nHost: ⟦«host»⟧\nContent-Type: application/json\n\n{"«n»":"«V»","region":"⟦«region»⟧"}',
            "> GET ⟦/«word»⟧ HTTP/1.1\n> Host: ⟦«host»⟧\n> ⟦X-«K»⟧: «V»\n>\n< HTTP/1.1 ⟦200 OK⟧",
        ),
        (
            "> GET ⟦/«word»⟧ HTTP/2\n> Host: ⟦«host»⟧\n> authorization: Bearer «V»\n> accept: */*\n>\n< HTTP/2 ⟦401⟧",
            "POST ⟦/«word»⟧ HTTP/1.1\r\nHost: ⟦«host»⟧\r\nAuthorization: Bearer «V»\r\nContent-Length: ⟦«num»⟧\r\n\r\n",
            '⟦HTTP/1.1 200 OK⟧\ncontent-type: application/json\n\n{"access_token":"«V»","expires_in":⟦3600⟧}',
        ),
    ),
}
NAMING_SETTINGS = tuple(SETTINGS)
FREE_SETTINGS = tuple(name for name, row in SETTINGS.items() if row[3])


def needs_quotes(value: str) -> bool:
    return any(letter in value for letter in " ;&$|<>()#'`\"") or value[:1] in "!*%@[{"


def quoted(value: str, look: Dice) -> str:
    """The value as a careful person writes it in a shell or in YAML."""
    mark = look.pick(("'", '"')) if needs_quotes(value) else look.pick(("", "", "'", '"'))
    return f"{mark}{value}{mark}"


def surround(secret: Secret, look: Dice, setting: str) -> Snippet:
    """Put a one-line secret into a text of the given setting, without a name where it can do without."""
    kind, ending, naming, free = SETTINGS[setting]
    nameless = secret.bare and free and (not naming or look.random() < 0.5)
    template = look.pick(free if nameless else naming)
    values = secret_values(secret, look)
    values["Q"] = quoted(secret.text, look)
    text, keep = fill(template, look, values)
    return Snippet(setting, kind, text, (*keep, *secret.keep), look.path(ending))


DOCUMENT_TEMPLATES = (
    ("raw", "file", ".pem", "«V»\n"),
    ("after-prompt", "output", ".log", "⟦$ cat /srv/«word»/«word2»⟧\n«V»\n⟦$ exit⟧"),
    (
        "prose",
        "prose",
        ".txt",
        "⟦Here is what «user» sent for «word»:⟧\n\n«V»\n\n⟦Can you install it on «host»?⟧",
    ),
    ("heredoc", "command", ".sh", "⟦cat > /tmp/«word» <<'EOF'⟧\n«V»\n⟦EOF⟧\n⟦chmod 600 /tmp/«word»⟧"),
    ("markdown", "prose", ".md", "⟦### «word»⟧\n\n```\n«V»\n```\n⟦ends here⟧"),
    ("numbered", "output", ".log", "«numbered»"),
    ("python-triple", "file", ".py", '⟦«N»⟧ = """«V»"""\n⟦PORT = «port»⟧'),
    ("json-file", "file", ".json", '{"⟦«n»⟧": «J», "region": "⟦«region»⟧"}'),
    ("env-one-line", "file", ".env", "⟦«N»⟧=«J»\n⟦PORT=«port»⟧"),
    ("yaml-block", "file", ".yaml", "⟦«n»⟧: |\n«indented»\n⟦port: «port»⟧"),
    ("diff", "output", ".diff", "@@ -0,0 +1,9 @@ ⟦«word»⟧\n«added»"),
)


def surround_document(secret: Secret, look: Dice) -> Snippet:
    """Put a secret of several lines into a text that leaves its lines legible."""
    setting, kind, ending, template = look.pick(DOCUMENT_TEMPLATES)
    lines = secret.text.split("\n")
    values = secret_values(secret, look)
    values["J"] = dumps(secret.text)
    values["indented"] = "\n".join("  " + line for line in lines)
    values["added"] = "\n".join("+" + line for line in lines)
    arrow = look.pick(("\t", "→"))
    values["numbered"] = "\n".join(f"{number:6}{arrow}{line}" for number, line in enumerate(lines, 1))
    text, keep = fill(template, look, values)
    return Snippet(setting, kind, text, (*keep, *secret.keep), look.path(ending))
