"""Texts that look like secrets and are none: opaque values (FORMS) and words about secrets (WORDED).

`{alphabet:length}` is thrown at random, «word» and the like are the neighbours of `model.neighbours`.
"""

from __future__ import annotations

DASHES = "-" * 5
EXAMPLE_ID = "AKIA" + "IOSFODNN7" + "EXAMPLE"
EXAMPLE_KEY = "wJalrXUtnFEMI" + "/K7MDENG/" + "bPxRfiCY" + "EXAMPLEKEY"

FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "git-commit": (
        "output",
        (
            "commit {h:40}\nAuthor: «user» <«user»@«host»>\nDate:   «date»\n\n    Fix «word»",
            "{h:7} (HEAD -> main, origin/main) Add «word»\n{h:7} Fix token refresh\n{h:7} Bump «word2»",
            "HEAD is now at {h:9} Rename password field",
            "{h:40}\trefs/heads/«word»\n{h:40}\trefs/tags/v1.2.0^{}",
            "$ git rev-parse HEAD\n{h:40}",
            "100644 blob {h:40}\tsrc/secrets.py\n040000 tree {h:40}\tdocs",
        ),
    ),
    "diff-index": (
        "output",
        (
            "diff --git a/token.py b/token.py\nindex {h:7}..{h:7} 100644\n--- a/token.py\n+++ b/token.py",
            "index {h:40}..{h:40} 100644",
            "similarity index 96%\nrename from auth/keys.md\nrename to docs/keys.md",
        ),
    ),
    "uuid": (
        "output",
        (
            "job «uuid» finished in «ms» ms",
            "run_id=«uuid» status=ok",
            '{"id":"«uuid»","owner":"«user»"}',
            "session «uuid» resumed by «user»",
            "tenant: «uuid»",
            "X-Request-Id: «uuid»",
        ),
    ),
    "file-digest": (
        "output",
        (
            "{h:40}  «word».tar.gz\n{h:40}  «word2».tar.gz",
            "{h:64}  dist/«word»-1.4.0-py3-none-any.whl",
            "SHA512 («word».iso) = {h:128}",
            "MD5 («word».bin) = {h:32}",
            "$ sha256sum secrets.tar\n{h:64}  secrets.tar",
            "sha256:{h:64}",
            'checksum = "{h:64}"',
            "expected sha1 {h:40}, got {h:40}",
        ),
    ),
    "npm-lock": (
        "file",
        (
            '    "node_modules/«word»": {\n      "version": "4.17.21",\n      "resolved": "https://registry.example.org/«word»/-/«word»-4.17.21.tgz",\n      "integrity": "sha512-{B:86}=="\n    },',
            '"integrity": "sha512-{B:86}==", "dev": true',
            '"js-tokens": {"version": "9.0.0", "integrity": "sha512-{B:86}=="}',
            '«word»@^1.0.0:\n  version "1.0.3"\n  resolved "https://registry.example.com/«word»/-/«word»-1.0.3.tgz#{h:40}"\n  integrity sha512-{B:86}==',
            "  «word»@4.1.2:\n    resolution: {integrity: sha512-{B:86}==}\n    engines: {node: '>=18'}",
        ),
    ),
    "poetry-lock": (
        "file",
        (
            'files = [\n    {file = "«word»-1.0.tar.gz", hash = "sha256:{h:64}"},\n    {file = "«word»-1.0-py3-none-any.whl", hash = "sha256:{h:64}"},\n]',
            'content-hash = "{h:64}"',
            "«word»==1.2.3 \\\n    --hash=sha256:{h:64} \\\n    --hash=sha256:{h:64}",
        ),
    ),
    "cargo-lock": (
        "file",
        (
            '[[package]]\nname = "«word»"\nversion = "0.3.1"\nsource = "registry+https://github.com/rust-lang/an-index"\nchecksum = "{h:64}"',
            '[[package]]\nname = "secrecy"\nchecksum = "{h:64}"',
        ),
    ),
    "go-sum": (
        "file",
        (
            "github.com/«word»/«word2» v1.2.3 h1:{B:43}=\ngithub.com/«word»/«word2» v1.2.3/go.mod h1:{B:43}=",
            "golang.org/x/oauth2 v0.21.0 h1:{B:43}=",
        ),
    ),
    "other-locks": (
        "file",
        (
            '  narHash = "sha256-{B:43}=";\n  rev = "{h:40}";',
            '"«word»": {"hashes": ["sha256:{h:64}"], "version": "==1.4"}',
            '  sha256 "{h:64}"\n  license "MIT"',
            '"reference": "{h:40}", "shasum": "{h:40}"',
        ),
    ),
    "client-ids": (
        "output",
        (
            "msg_01{b:22} toolu_01{b:22} req_011{b:21}",
            "call_{b:24} -> ok",
            "chatcmpl-{b:29} finished with stop",
            "resp_{h:48} and rs_{h:48}",
            "request-id: req_011{b:21}",
            "tool_use_id: toolu_01{b:22}",
            "file-{b:22} uploaded as «word».pdf",
            "asst_{b:24} in thread_{b:24}",
            "batch_{h:32} is in_progress",
        ),
    ),
    "provider-object-ids": (
        "output",
        (
            "cus_{b:14} bought price_1{b:23}",
            "pi_3{b:23} succeeded",
            "evt_1{b:23} type=invoice.paid",
            "ami-0{h:16} vpc-0{h:16} subnet-0{h:16}",
            "arn:aws:secretsmanager:eu-west-1:{d:12}:secret:«word»-{b:6}",
            "arn:aws:iam::{d:12}:role/«word»",
            "i-0{h:16} is running in «region»",
            "AROA{t:17}:session",
            "projects/«word»/secrets/db-password/versions/latest",
        ),
    ),
    "ulid": (
        "output",
        (
            "01J{A:23} queued\n01J{A:23} done",
            "event_id=01H{A:23} kind=«word»",
            "ksuid 2{b:26}",
            "nanoid {u:21} for board «word»",
        ),
    ),
    "csp-nonce": (
        "output",
        (
            "Content-Security-Policy: script-src 'nonce-{B:22}==' 'strict-dynamic'",
            '<script nonce="{B:22}==">boot()</script>',
            "style-src 'sha256-{B:43}='",
        ),
    ),
    "sri": (
        "file",
        (
            '<script src="https://cdn.example.com/«word».min.js" integrity="sha384-{B:64}" crossorigin="anonymous"></script>',
            '<link rel="stylesheet" href="/app.css" integrity="sha256-{B:43}=">',
        ),
    ),
    "bundle-names": (
        "output",
        (
            "dist/assets/index-{u:8}.js   142.10 kB\ndist/assets/vendor-{u:8}.css  12.02 kB",
            "static/js/main.{h:8}.chunk.js",
            "/_next/static/{u:21}/_buildManifest.js",
            'class="css-{a:6} {l:6}__button--{b:5}"',
            "chunk-{A:8}.mjs | 3.4 kB",
        ),
    ),
    "minified-js": (
        "file",
        (
            '!function(e,t){"object"==typeof exports?t(exports):t(e.«word»={})}(this,(function(e){var t=e.token,n=e.key;return t&&n?t+n:null}));',
            "var a=t.password,b=t.secret;a!==b&&(c=d(a,b,!0)),f=g?h:i;",
            'const{token:r,key:o}=e;if(!r)throw new Error("no token");',
        ),
    ),
    "data-url": (
        "file",
        (
            "background: url(data:image/svg+xml;base64,PHN2ZyB4bWxucz0i{B:200}=)",
            '<img src="data:image/png;base64,iVBORw0KGgo{B:300}=">',
            "src: url(data:font/woff2;base64,d09GMgABAAAA{B:400}) format('woff2')",
        ),
    ),
    "source-map": (
        "file",
        (
            "//# sourceMappingURL=«word».js.map",
            '"mappings":"AAAA;AACA,{b:60};{b:40},CAAC"',
            "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJz{B:160}",
        ),
    ),
    "public-key": (
        "file",
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{B:43} «user»@«word»",
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{B:300}= «user»@«host»",
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI{B:100}= root@«word»",
            DASHES
            + "BEGIN PUBLIC KEY"
            + DASHES
            + "\n{B:64}\n{B:64}\n{B:40}==\n"
            + DASHES
            + "END PUBLIC KEY"
            + DASHES,
            DASHES
            + "BEGIN RSA PUBLIC KEY"
            + DASHES
            + "\n{B:64}\n{B:64}\n{B:20}==\n"
            + DASHES
            + "END RSA PUBLIC KEY"
            + DASHES,
            DASHES
            + "BEGIN CERTIFICATE"
            + DASHES
            + "\nMIID{B:60}\n{B:64}\n{B:64}\n{B:32}=\n"
            + DASHES
            + "END CERTIFICATE"
            + DASHES,
            DASHES
            + "BEGIN CERTIFICATE REQUEST"
            + DASHES
            + "\n{B:64}\n{B:64}\n"
            + DASHES
            + "END CERTIFICATE REQUEST"
            + DASHES,
            DASHES
            + "BEGIN PGP PUBLIC KEY BLOCK"
            + DASHES
            + "\n\n{B:64}\n{B:64}\n={B:4}\n"
            + DASHES
            + "END PGP PUBLIC KEY BLOCK"
            + DASHES,
            DASHES
            + "BEGIN PGP SIGNATURE"
            + DASHES
            + "\n\n{B:64}\n{B:64}\n={B:4}\n"
            + DASHES
            + "END PGP SIGNATURE"
            + DASHES,
            "age1{z:58}",
            "«host» ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{B:43}",
            "SHA256:{B:43} «user»@«host» (ED25519)",
            "minisign public key RWQ{B:53}",
        ),
    ),
    "docker-digest": (
        "output",
        (
            "postgres:16@sha256:{h:64}",
            "Digest: sha256:{h:64}\nStatus: Downloaded newer image for «word»:latest",
            "FROM ghcr.io/«word»/«word2»@sha256:{h:64}",
            '{h:12}   «word»:1.2   "/run.sh"   3 hours ago   Up 3 hours',
            "«word» latest {h:12} 2 days ago 181MB",
        ),
    ),
    "kubernetes-names": (
        "output",
        (
            "«word»-7d4b9c6f5d-x{a:4}   1/1   Running   0   3d",
            "pod/«word»-{h:10}-{a:5} condition met",
            "secret/«word»-tls created",
            "NAME               TYPE     DATA   AGE\n«word»-token-{a:5}   Opaque   3      12d",
            "serviceaccount/token-reviewer unchanged",
            "volumes:\n  - name: creds\n    secret:\n      secretName: «word»-auth",
        ),
    ),
    "hex-dump": (
        "output",
        (
            "00000000: 7f45 4c46 {h:4} {h:4} {h:4} {h:4} {h:4} {h:4}  .ELF............\n00000010: {h:4} {h:4} {h:4} {h:4} {h:4} {h:4} {h:4} {h:4}  ................",
            "0x{h:64}",
            "{h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2} {h:2}",
            "crash at 0x{h:12} in libtoken.so (+0x{h:5})",
        ),
    ),
    "base64-text": (
        "output",
        (
            "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
            "echo aGVsbG8gd29ybGQsIHRoaXMgaXMgYSB0ZXN0 | base64 -d",
            "body: eyJzdGF0dXMiOiJvayIsIml0ZW1zIjpbMSwyLDNdfQ==",
            "content: IyBSZWFkbWUKClRoaXMgcHJvamVjdCBkb2VzIHRoaW5ncy4K",
        ),
    ),
    "trace-headers": (
        "output",
        (
            "traceparent: 00-{h:32}-{h:16}-01",
            "X-Amzn-Trace-Id: Root=1-{h:8}-{h:24}",
            "x-b3-traceid: {h:32}\nx-b3-spanid: {h:16}",
            "trace_id={h:32} span_id={h:16}",
            "cf-ray: {h:16}-FRA",
            "sentry-trace: {h:32}-{h:16}-1",
        ),
    ),
    "etag-and-cache": (
        "output",
        (
            'ETag: "{h:32}"',
            'etag: W/"{h:4}-{B:27}"',
            'If-None-Match: "{h:40}"',
            "cache_key=user:42:profile",
            "cache key: node-modules-linux-{h:64}",
            "cacheKey: '«word»:«num»'",
            "Cache-Control: private, max-age=300",
        ),
    ),
    "mime-boundary": (
        "output",
        (
            "Content-Type: multipart/form-data; boundary=----WebKitFormBoundary{b:16}",
            "--------------------------{h:16}",
            'boundary="=_{h:32}"',
            "Message-ID: <{b:20}.{d:14}@«host»>",
        ),
    ),
    "cursors-in-urls": (
        "output",
        (
            "https://api.«host»/v1/items?cursor={u:80}&limit=50",
            "https://«host»/search?q=password+reset&page=2&ei={u:22}&ved={u:40}",
            "nextPageToken: {u:48}",
            "https://www.youtube.com/watch?v={u:11}",
            "https://docs.google.com/document/d/1{u:43}/edit",
            "https://«host»/list?after={b:44}%3D%3D&first=20",
            '"next_cursor": "dXNlcjp{B:24}="',
            "https://«host»/p/?utm_source=mail&utm_campaign={b:20}&gclid={u:60}",
        ),
    ),
    "urls-without-credentials": (
        "prose",
        (
            "see https://«host»/«word»/tree/main/secrets/README.md",
            "git@github.com:«word»/«word2».git",
            "postgres://localhost:5432/«db»",
            "redis://«host»:6379/0",
            "https://«host»:8443/oauth/token",
            "ssh://git@«host»:2222/«word».git",
            "https://«user»@«host»/repo.git",
            "mongodb://«host»:27017/«db»?replicaSet=rs0",
            "amqp://«host»/%2f",
            "jdbc:postgresql://«host»:5432/«db»?ssl=true",
            "https://gist.github.com/«user»/{h:32}",
        ),
    ),
    "blockchain": (
        "prose",
        (
            "0x{h:40} sent «num» to 0x{h:40}",
            "bc1q{z:38}",
            "1{x:33}",
            "tx 0x{h:64} confirmed",
            "ipfs://Qm{x:44}",
            "bafybei{a:52}",
        ),
    ),
    "numbers": (
        "prose",
        (
            "call +49 30 {d:8} or +1 (555) 010-{d:4}",
            "48.{d:6}, 11.{d:6}",
            "version 14.2.{d:5}-beta.3+build.{d:8}",
            "order {d:16} of «date»",
            "ISBN 978-3-16-{d:6}-0",
            "epoch 17{d:11}",
            "IBAN-like DE00 0000 0000 0000 0000 00",
            "pi = 3.14159265358979323846264338327950288",
        ),
    ),
    "mail-addresses": (
        "prose",
        (
            "write to «user»@«host»",
            "From: «user» <«user»+token@«host»>",
            "password-reset@«host» sent it",
            "Co-authored-by: «user» <{d:8}+«user»@users.noreply.github.com>",
        ),
    ),
    "paths": (
        "output",
        (
            "/run/secrets/db_password",
            "src/auth/password_reset.py\nsrc/auth/token_store.py",
            "/var/lib/docker/overlay2/{h:64}/merged",
            "~/.ssh/id_ed25519.pub",
            "/nix/store/{a:32}-openssl-3.0.13",
            "config/credentials.yml.enc",
            "/proc/«pid»/fd/255",
            "node_modules/.pnpm/js-tokens@4.0.0/node_modules/js-tokens",
            "C:\\Users\\«user»\\AppData\\Local\\Temp\\{h:8}.tmp",
            "s3://«word»/exports/2026/01/{h:32}.parquet",
            "/tmp/tmp{a:8}/secrets_test0",
        ),
    ),
    "public-tokens": (
        "file",
        (
            "pk_test_{b:24}",
            "publishableKey: 'pk_live_{b:24}'",
            "client_id: {d:12}-{a:32}.apps.googleusercontent.com",
            "CLIENT_ID=«uuid»",
            "GA_MEASUREMENT_ID=G-{A:10}",
            "gtag('config', 'UA-{d:8}-1')",
            'data-sitekey="6L{b:38}"',
            "sb_publishable_{u:31}",
            "phc_{b:43}",
        ),
    ),
    "test-fixtures": (
        "output",
        (
            "test_token_refresh[«word»] PASSED",
            "tests/test_password.py::test_hash PASSED [ 42%]",
            "FAILED tests/test_keys.py::test_rotate - assert 3 == 4",
            "12 passed, 3 skipped in «ms» ms",
            "ok  \tgithub.com/«word»/token\t0.{d:3}s\tcoverage: 81.2%",
        ),
    ),
    "escape-output": (
        "output",
        (
            "\x1b[32m✓\x1b[0m token refresh (\x1b[2m«ms» ms\x1b[0m)",
            "\x1b[1mpassword\x1b[0m field is \x1b[31mrequired\x1b[0m",
            "\x1b]0;«user»@«word»: ~\x07\x1b[01;34m~\x1b[00m$ ",
            "\x1b[38;5;{d:3}m{h:7}\x1b[0m Fix auth",
        ),
    ),
    "long-words": (
        "prose",
        (
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
            "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
            "com.example.enterprise.authentication.PasswordTokenProviderFactoryBean",
            "getAuthenticatedUserPrincipalFromSecurityContextHolderStrategy",
            "VK_KHR_external_memory_capabilities VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO",
        ),
    ),
    "placeholder-in-place": (
        "file",
        (
            "password=[REDACTED:password:{h:4}]",
            "Authorization: Bearer [REDACTED:bearer:{h:4}]",
            "API_KEY=[REDACTED]",
            "postgres://svc:[REDACTED:password:{h:4}]@«host»/«db»",
            "token: '***REDACTED***'",
            "token: ghp_****************",
            "AWS_SECRET_ACCESS_KEY=****************",
            "export OPENAI_API_KEY=<hidden>",
            "password: (hidden)",
            "masked: sk-...{b:4}",
            "::add-mask::***",
            "PASSWORD=xxxxxx",
        ),
    ),
    "digests-near-secret-words": (
        "output",
        (
            "the password check changed in {h:40}",
            "token tests: sha256:{h:64} (unchanged)",
            "commit {h:40}\n\n    Remove the secret from the config, rotate key",
            "secret-scanner@sha256:{h:64} pulled",
            "auth/password.py {h:40} -> {h:40}",
            "password_reset job «uuid» queued",
            "| file | sha1 |\n|---|---|\n| token.py | {h:40} |\n| password.py | {h:40} |",
            "key rotation finished, trace {h:32}",
            "https://github.com/«word»/auth/commit/{h:40}#diff-{h:64}",
            "X-Token-Trace: «uuid»",
        ),
    ),
    "mongo-and-other-ids": (
        "output",
        (
            'ObjectId("{h:24}")',
            "_id: {h:24} name: «word»",
            "doc {b:20} updated",
            "slack channel C0{A:9} user U0{A:9}",
            "message {d:19} in guild {d:18}",
            "build {d:11} run {d:10}",
            "jira «word»-1{d:4} moved to done",
            "serial 0{h:31}",
            "fingerprint {h:2}:{h:2}:{h:2}:{h:2}:{h:2}:{h:2}:{h:2}:{h:2}",
        ),
    ),
}

WORDED: dict[str, tuple[str, tuple[str, ...]]] = {
    "python-without-secret": (
        "file",
        (
            "password = getpass.getpass('Password: ')",
            'token = os.environ["GITHUB_TOKEN"]',
            "api_key=settings.api_key",
            "password: str",
            "def check_password(password: str) -> bool:\n    return verify(password, stored_hash)",
            "secret: SecretStr | None = None",
            'token = response.json()["access_token"]',
            "self.password = password",
            'client = OpenAI(api_key=os.getenv("OPENAI_API_KEY"))',
            'headers = {"Authorization": f"Bearer {token}"}',
            "token = secrets.token_urlsafe(32)",
            'SECRET_KEY = env("DJANGO_SECRET_KEY")',
            "password = request.form.get('password', '')",
            "token: Token = self.lexer.next_token()",
            'assert token is not None, "no token"',
            "passwd = pwd.getpwnam(user).pw_passwd",
            "private_key = load_pem_private_key(data, password=None)",
            "auth=(username, password)",
            "credentials = service_account.Credentials.from_service_account_file(path)",
            "api_key = config['«word»']['api_key']",
            "secret = hashlib.sha256(password.encode()).hexdigest()",
            "token = tokens[index + 1]",
            'kwargs.pop("password", None)',
            'password = keyring.get_password("«word»", user)',
            "db = connect(host=host, user=user, password=PASSWORD)",
        ),
    ),
    "javascript-without-secret": (
        "file",
        (
            "const secret = process.env.SECRET;",
            "if (token == null) return res.status(401).end();",
            "password: string;\n  token?: string | undefined;",
            "const { token, password } = req.body;",
            "headers: { Authorization: `Bearer ${token}` }",
            "apiKey: process.env.NEXT_PUBLIC_API_KEY ?? ''",
            "export type Secret = { name: string; value: string };",
            "password: z.string().min(12).max(128)",
            "token = await getAccessTokenSilently();",
            "localStorage.setItem('token', data.token)",
            "const password = watch('password');",
            '<input type="password" name="password" placeholder="Password" autocomplete="current-password" />',
            "csrfToken: document.querySelector('meta[name=csrf-token]').content",
            "this.apiKey = options.apiKey || config.get('apiKey');",
            "const key = event.key === 'Enter' ? 'submit' : 'none';",
        ),
    ),
    "other-code-without-secret": (
        "file",
        (
            'password := os.Getenv("DB_PASSWORD")',
            'let token = env::var("API_TOKEN").expect("API_TOKEN is not set");',
            "private final String password;",
            'String token = request.getHeader("Authorization");',
            "token = ENV.fetch('API_TOKEN')",
            "$password = $_POST['password'];",
            "func (l *Lexer) NextToken() token.Token { return l.tok }",
            "pub struct Secret<T>(T);",
            'Password = builder.Configuration["Db:Password"];',
            "char *password = NULL;",
            "case TOKEN_IDENTIFIER: return parse_identifier(token);",
            '@Value("${spring.datasource.password}") private String password;',
            "type Token struct {\n\tKind TokenKind\n\tValue string\n}",
            "password = var.db_password",
            "default_password_hasher = Argon2::Password.new",
        ),
    ),
    "shell-without-secret": (
        "command",
        (
            "export TOKEN=$(cat token)",
            'curl -H "Authorization: Bearer ${TOKEN}" https://«host»/«word»',
            'curl -H "Authorization: Bearer $(gcloud auth print-access-token)" https://«host»',
            "read -s -p 'Password: ' PASSWORD",
            'PGPASSWORD="$DB_PASSWORD" psql -h «host» -U «user»',
            "docker login -u «user» --password-stdin < ~/.token",
            "mysql -u «user» -p «db»",
            "grep -rn 'password' src/ | head",
            "sshpass -e ssh «user»@«host»",
            'echo "${{ secrets.NPM_TOKEN }}" > .npmrc',
            "export GITHUB_TOKEN=`gh auth token`",
            "op read op://vault/«word»/password",
            'curl -u "$USER:$PASS" https://«host»',
            "vault kv get -field=password secret/«word»",
            "kubectl get secret «word»-auth -o jsonpath='{.data.password}' | base64 -d",
            './run --token "$TOKEN" --password-file /run/secrets/pw',
            "unset AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN",
            'test -n "$API_KEY" || exit 1',
            "mkdir -p -m 700 ~/.ssh && chmod 600 ~/.ssh/id_rsa",
            "pass insert «word»/mail",
            "git log -p --all -S password -- config/",
            "rg -n 'api[_-]?key' --glob '*.py'",
            'git commit -m "Add password reset token: expires after «num» minutes"',
        ),
    ),
    "references": (
        "file",
        (
            "token: ${{ secrets.GITHUB_TOKEN }}",
            "password: {{ secrets.X }}",
            'password: "{{ vault_db_password }}"',
            "DB_PASSWORD=${DB_PASSWORD:?is not set}",
            "password: !vault |",
            "secretKeyRef:\n  name: «word»-auth\n  key: password",
            "password = data.aws_ssm_parameter.db.value",
            "api_key: env:API_KEY",
            "token: ENC[AES256_GCM,data:...,type:str]",
            "POSTGRES_PASSWORD_FILE: /run/secrets/db_password",
            "password: <%= ENV['DB_PASSWORD'] %>",
            "_authToken=${NPM_TOKEN}",
            "secretsmanager:GetSecretValue",
            "DATABASE_URL=postgres://$DB_USER:$DB_PASS@«host»/«db»",
            "SECRET_KEY=%SECRET_KEY%",
            "MYSQL_ROOT_PASSWORD=$MYSQL_ROOT_PASSWORD",
            'token = file("~/.config/«word»/token")',
            "valueFrom: arn:aws:ssm:«region»:{d:12}:parameter/«word»/db_password",
        ),
    ),
    "placeholders": (
        "prose",
        (
            "OPENAI_API_KEY=your-api-key-here",
            "export TOKEN=<TOKEN>",
            'api_key = "sk-..."',
            "password=xxxxxxxx",
            "password: ********",
            "POSTGRES_PASSWORD=changeme",
            "aws_access_key_id = " + EXAMPLE_ID,
            "aws_secret_access_key = " + EXAMPLE_KEY,
            "postgres://user:password@localhost/db",
            "https://user:pass@example.com",
            "Authorization: Bearer <token>",
            "Authorization: Bearer YOUR_TOKEN",
            "curl -u username:password https://api.example.com",
            "mongodb+srv://<username>:<password>@cluster0.example.mongodb.net/",
            'API_KEY=""',
            "SECRET_KEY=replace-me",
            "--token=[YOUR TOKEN]",
            "ANTHROPIC_API_KEY=sk-ant-...",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "password: TODO",
            "token: null\nsecret: none",
            "GITHUB_TOKEN=ghp_your_token_here",
            "redis://:password@localhost:6379",
            "xoxb-your-bot-token",
            "client_secret: {client_secret}",
            "password: <your password>",
            "MY_SECRET=...",
        ),
    ),
    "prose-about-secrets": (
        "prose",
        (
            "The password is stored as a hash, never in clear.",
            "Please rotate the API key every «num» days and tell «user».",
            "If you forgot your password, click the link below.",
            "The token is valid for «num» minutes after which the client asks for another.",
            "A secret is only as good as the place it is kept in.",
            "Das Passwort ist zu kurz; es braucht mindestens zwölf Zeichen.",
            "I removed the hard-coded credentials from «word» and read them from the environment.",
            "password: required, at least 12 characters",
            "The key is under the doormat, the token economy is not.",
            "Tokens: words, punctuation, numbers. Keys: left, right, up.",
            "The secret: patience, and a warm oven.",
            "The access token endpoint returns JSON; the refresh token does not change.",
            "the password is wrong",
            "the password is required when the user is new",
            "api key is missing or invalid",
            "Key takeaways: «word» is faster, «word2» is smaller.",
            "the token is expired, please log in again",
            "Password managers generate passwords; people remember passphrases.",
            "Pass the key=value pairs as arguments, e.g. color=blue size=large",
            "Author: «user». Authority: the board. Authorization: granted on «date».",
        ),
    ),
    "i18n": (
        "file",
        (
            '{"password": "Passwort", "token": "Jeton"}',
            '{"login.password": "Mot de passe", "login.secret": "Geheimnis"}',
            "password=Wachtwoord\nforgotPassword=Wachtwoord vergeten?",
            "password: Contraseña\nshow_password: Mostrar contraseña",
            '"apiKey": "API-Schlüssel", "secretKey": "Geheimer Schlüssel"',
            'msgid "Password"\nmsgstr "Lösenord"',
            '<string name="password_hint">Enter your password</string>',
        ),
    ),
    "error-messages": (
        "output",
        (
            "invalid token: unexpected end",
            "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
            "fatal: Authentication failed for 'https://«host»/«word».git/'",
            'psql: FATAL: password authentication failed for user "«user»"',
            "Error: secretOrPrivateKey must have a value",
            "KeyError: 'api_key'",
            "error: invalid password: must contain a digit",
            "401 Unauthorized: token expired at «iso»",
            "jwt.exceptions.ExpiredSignatureError: Signature has expired",
            "error TS2339: Property 'password' does not exist on type 'User'.",
            "Permission denied (publickey,password).",
            "ERROR 1045 (28000): Access denied for user '«user»'@'«ip»' (using password: YES)",
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
            "parse error near token: «word»",
            "Enter passphrase for key '/home/«user»/.ssh/id_ed25519':",
            "[sudo] password for «user»:",
            "undefined: token.IDENTIFIER",
        ),
    ),
    "log-words": (
        "output",
        (
            "«iso» INFO token expired, refreshing",
            "«clock» DEBUG auth: password check passed for «user» in «ms» ms",
            'level=info msg="rotated secret" name=«word»-auth version=«num»',
            "secret=mounted path=/run/secrets",
            "token=valid user=«user»",
            "«iso» WARN password=missing user=«user»",
            "auth=ok session=new user=«user»",
            "«clock» key=pressed code=KeyA",
            "tokens=«num» cost=0.0«num»",
        ),
    ),
    "token-numbers": (
        "output",
        (
            "input_tokens: 1234\noutput_tokens: 567",
            "max_tokens=4096, temperature=0.2",
            '"max_tokens": 128000, "budget_tokens": 10000',
            "total tokens: {d:6} (cached {d:5})",
            "tokens/s: 41.{d:3}",
            "num_tokens = len(enc.encode(text))",
            "context window: 200000 tokens, used {d:5}",
            "token_limit: 8192\ntoken_buffer: 512",
            "--max-tokens 2048 --tokenizer bpe",
        ),
    ),
    "tokenizer-code": (
        "file",
        (
            'tokenizer = AutoTokenizer.from_pretrained("«word»/«word2»")',
            'eos_token = "<|endoftext|>"; pad_token = tokenizer.eos_token',
            'special_tokens = ["<s>", "</s>", "<unk>"]',
            "tokens = text.split()\nfor token in tokens:\n    count[token] += 1",
            "token_ids = [101, 2023, 2003, 1037, 3231, 102]",
            '{"<pad>": 0, "<unk>": 1, "Ġpassword": 9206, "Ġsecret": 3200}',
            "enum Token { Plus, Minus, Ident(String), Eof }",
            "token.type === 'keyword' && token.value === 'import'",
        ),
    ),
    "design-tokens": (
        "file",
        (
            "--color-token-primary: #3b18e5;\n--spacing-key: 4px;",
            '{"token": {"color": {"primary": {"value": "#0055ff"}}}}',
            ".token.keyword { color: #07a; }",
            ".hljs-token, .token-string { font-weight: 600 }",
            "$token-radius-lg: 12px;",
            "theme.tokens.colors.secretGarden = '#{h:6}'",
        ),
    ),
    "keyboard-and-database-keys": (
        "file",
        (
            "key=Enter, modifiers=ctrl+shift",
            "bindsym $mod+Return exec terminal",
            'primary_key=True, foreign_key="users.id"',
            "sort_key: created_at\npartition_key: tenant_id",
            "PRIMARY KEY (id), KEY idx_token (token_id)",
            "ALTER TABLE users ADD COLUMN password_hash varchar(255) NOT NULL;",
            "SELECT password_hash, token_expires_at FROM users WHERE id = $1",
            "<Item key={item.id} tokenId={id} />",
            'key: "src/app/index.ts"',
            'map.put("key", "value");',
            'ForeignKey("tokens.id", ondelete="CASCADE")',
            '{"key": "F5", "command": "workbench.action.debug.start"}',
            "groupby key: «word»",
            "monkey=banana turkey=«word»",
            "hotkey: ctrl+alt+delete",
        ),
    ),
    "scanner-patterns": (
        "file",
        (
            "regex = '''ghp_[0-9a-zA-Z]{36}'''",
            "AKIA[0-9A-Z]{16}",
            'r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----"',
            "(?i)(password|passwd|pwd)\\s*[:=]\\s*['\\\"][^'\\\"]{8,}",
            'PATTERNS = {"slack": r"xox[baprs]-[0-9a-zA-Z-]{10,}"}',
            "sk-(?:proj-)?[A-Za-z0-9_-]{20,}",
            "description = \"Stripe key\"\nregex = '''sk_live_[0-9a-z]{24}'''",
            "s/password=[^&]*/password=***/g",
            'keywords = ["hf_", "glpat-", "npm_", "xoxb-"]',
            "if (value.startsWith('sk-ant-')) return mask(value);",
        ),
    ),
    "feature-flags": (
        "file",
        (
            "feature.password_reset=true\nfeature.token_rotation=false",
            "ENABLE_SECRET_SCANNING=1",
            "auth.passwordless: enabled",
            "PASSWORD_MIN_LENGTH=12\nTOKEN_TTL_SECONDS=3600",
            "TOKEN_EXPIRY=15m",
            "secret_rotation_days: 90",
            "USE_API_KEY=false",
            "PASSWORD_HASHERS=argon2",
            "token_type=bearer&expires_in=3600",
            "ACCESS_TOKEN_LIFETIME = timedelta(minutes=«num»)",
            "SECRET_BACKEND=vault",
            "AUTH_TYPE=basic",
            "password_encryption = scram-sha-256",
            "PasswordAuthentication no\nPubkeyAuthentication yes",
        ),
    ),
    "headers-without-secret": (
        "output",
        (
            "Authorization: Basic <credentials>\nAccept: */*",
            'WWW-Authenticate: Bearer realm="«word»", error="invalid_token"',
            'Proxy-Authenticate: Basic realm="«host»"',
            "access-control-allow-headers: authorization, x-api-key, cookie",
            "Vary: Cookie, Authorization",
            "Set-Cookie: theme=dark; Path=/; Max-Age=31536000",
            "Cookie: lang=de; theme=light",
            "authorization: [REDACTED]",
            "X-RateLimit-Remaining: 59\nX-Token-Expires: 3600",
        ),
    ),
    "forms-and-tables": (
        "prose",
        (
            "Username: ______\nPassword: ______",
            "| Name | Type | Required |\n|---|---|---|\n| password | string | yes |\n| token | string | no |",
            "- [ ] rotate the secret\n- [x] document the token format",
            '<label for="password">Password</label>',
            "User | Password | Role\n-----|----------|-----",
            "Parameters:\n    token (str): The token to check.\n    password (str, optional): Defaults to None.",
            "--password PASSWORD   the password of the database\n--token TOKEN         an access token",
            "  -p, --password string   Password for registry\n  -u, --username string   Username",
        ),
    ),
    "imports-and-docs": (
        "file",
        (
            "from secrets import token_hex, token_urlsafe",
            "import { PasswordInput, SecretField } from '@«word»/ui';",
            "require 'openssl'; require 'password_strength'",
            "pip install python-jose[cryptography] passlib keyring",
            '"js-tokens": "^9.0.0", "passport-local": "^1.0.0", "keytar": "^7.9.0"',
            "use secrecy::{ExposeSecret, SecretString};",
            ":param password: the password to hash\n:returns: the hash",
            "/// Returns the token at `index`, or `None`.",
            '# password: see README, section "Secrets"',
            "openapi: 3.1.0\nsecurity:\n  - apiKeyAuth: []\ncomponents:\n  securitySchemes:\n    apiKeyAuth: {type: apiKey, in: header, name: X-API-Key}",
        ),
    ),
}
