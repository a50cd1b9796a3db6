"""Passwords and keys of no known form, recognisable only by the words and signs around them."""

from __future__ import annotations

import base64

from tests.redact.model import Dice, Secret, Snippet, fill, password, spellings

NAMES = (
    "DB_PASSWORD",
    "DATABASE_PASSWORD",
    "POSTGRES_PASSWORD",
    "MYSQL_ROOT_PASSWORD",
    "REDIS_PASSWORD",
    "SMTP_PASSWORD",
    "ADMIN_PASSWORD",
    "API_KEY",
    "API_SECRET",
    "CLIENT_SECRET",
    "APP_SECRET",
    "JWT_SECRET",
    "SESSION_SECRET",
    "AUTH_TOKEN",
    "ACCESS_TOKEN",
    "REFRESH_TOKEN",
    "ENCRYPTION_KEY",
    "MASTER_KEY",
    "WEBHOOK_SECRET",
    "SIGNING_SECRET",
    "SERVICE_TOKEN",
    "BOT_TOKEN",
    "DEPLOY_TOKEN",
    "USER_PASSWD",
    "LDAP_BIND_PASSWORD",
    "KEYSTORE_PASSWORD",
    "PRIVATE_TOKEN",
    "SECRET_KEY",
    "STORAGE_KEY_SECRET",
    "VPN_PASSPHRASE",
)
BARE_STYLES = ("human", "letters", "long", "hex", "dashed", "plain")
ANY_STYLES = (*BARE_STYLES, "marked")
QUOTED_STYLES = (*ANY_STYLES, "marked")

# form: (kind, styles of password, templates)
FORMS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "password-equals": (
        "file",
        ANY_STYLES,
        (
            "⟦host=«host»⟧\npassword=«V»\n⟦user=«user»⟧",
            "⟦[«word»]⟧\nPassword = «V»\n",
            "⟦login=«user»⟧ passwd=«V» ⟦port=«port»⟧",
        ),
    ),
    "passwd-colon": (
        "output",
        ANY_STYLES,
        (
            "⟦username: «user»⟧\npasswd: «V»\n",
            "⟦Login:⟧ «user»\nPassword: «V»\n⟦Host:⟧ «host»",
            "pwd:«V» ⟦user:«user»⟧",
        ),
    ),
    "yaml-key": (
        "file",
        ("human", "letters", "long", "hex", "dashed", "plain"),
        (
            "⟦db⟧:\n  ⟦«n»⟧: «V»\n  ⟦host: «host»⟧",
            '⟦«N»⟧: "«V»"\n⟦REGION: «region»⟧',
            "⟦«c»⟧: '«V»'\n⟦pool: «num»⟧",
        ),
    ),
    "toml-key": (
        "file",
        QUOTED_STYLES,
        ('[⟦«word»⟧]\n⟦«n»⟧ = "«V»"\n⟦port = «port»⟧', "⟦«k»⟧ = '«V»'  ⟦# «user»⟧"),
    ),
    "ini-key": ("file", ANY_STYLES, ("[⟦mail⟧]\n⟦«n»⟧=«V»\n⟦server=«host»⟧", "; ⟦«word»⟧\n⟦«P»⟧ = «V»\n")),
    "properties-key": (
        "file",
        ANY_STYLES,
        (
            "⟦spring.datasource.username=«user»⟧\nspring.datasource.password=«V»\n",
            "⟦«word»⟧.«dot»=«V»\n⟦server.port=«port»⟧",
            "⟦«word»⟧.«k»: «V»",
        ),
    ),
    "env-key": (
        "file",
        BARE_STYLES,
        (
            "⟦«N»⟧=«V»\n⟦PORT=«port»⟧",
            '⟦# «word»⟧\n⟦«N»⟧="«V»"\n',
            "⟦DEBUG=1⟧\n⟦STAGING_«N»⟧='«V»'\n⟦HOST=«host»⟧",
        ),
    ),
    "shell-export": (
        "command",
        BARE_STYLES,
        (
            "export ⟦«N»⟧=«V»",
            "export ⟦«N»⟧='«V»'; ⟦make «word»⟧",
            '⟦cd «word»⟧ && ⟦«N»⟧="«V»" ⟦./start --port «port»⟧',
            "set ⟦«N»⟧=«V» && ⟦node «word».js⟧",
        ),
    ),
    "flag-spaced": (
        "command",
        ANY_STYLES,
        (
            "⟦./«word» --user «user»⟧ --password «V» ⟦--host «host»⟧",
            "⟦«word»-cli login⟧ --token «V»",
            "⟦vault-sync⟧ --api-key '«V»' ⟦--dry-run⟧",
            "⟦restic⟧ --secret «V» ⟦backup /srv/«word»⟧",
        ),
    ),
    "flag-equals": (
        "command",
        ANY_STYLES,
        (
            "⟦«word» deploy⟧ --token=«V» ⟦--region=«region»⟧",
            '⟦mc alias set «word» https://«host»⟧ --secret-key="«V»"',
            "⟦java -jar «word».jar⟧ -Dpassword=«V»",
            "⟦helm upgrade «word» ./chart⟧ --set auth.password=«V» ⟦--wait⟧",
            "⟦redis-cli -h «host»⟧ --pass=«V»",
        ),
    ),
    "curl-user": (
        "command",
        BARE_STYLES,
        (
            "curl -u ⟦«user»⟧:«V» ⟦https://«host»/«word»⟧",
            "⟦curl -s «host»/status⟧ --user '⟦«user»⟧:«V»'",
            'curl -k -u"⟦«user»⟧:«V»" ⟦-X POST https://«host»/«word»⟧',
        ),
    ),
    "mysql-short-flag": (
        "command",
        BARE_STYLES,
        (
            "⟦mysql -h «host» -u «user»⟧ -p«V» ⟦«db»⟧",
            "⟦mysqldump -u«user»⟧ -p'«V»' ⟦«db» > dump.sql⟧",
            "⟦docker exec «word» mysql -uroot⟧ -p«V» ⟦-e 'select 1'⟧",
        ),
    ),
    "pgpassword": (
        "command",
        BARE_STYLES,
        (
            "PGPASSWORD=«V» ⟦psql -h «host» -U «user» «db»⟧",
            "PGPASSWORD='«V»' ⟦pg_dump -h «host» «db»⟧",
            'MYSQL_PWD="«V»" ⟦mysql -u «user» «db»⟧',
        ),
    ),
    "sshpass": (
        "command",
        BARE_STYLES,
        (
            "sshpass -p «V» ⟦ssh «user»@«host»⟧",
            "sshpass -p '«V»' ⟦scp «word».tgz «user»@«host»:/tmp⟧",
            'sshpass -p"«V»" ⟦rsync -a . «host»:/srv⟧',
        ),
    ),
    "docker-login": (
        "command",
        BARE_STYLES,
        (
            "⟦docker login -u «user»⟧ -p «V» ⟦registry.«host»⟧",
            "⟦podman login «host» --username «user»⟧ --password «V»",
            "⟦az acr login -n «word» -u «user»⟧ -p «V»",
        ),
    ),
    "other-cli-logins": (
        "command",
        BARE_STYLES,
        (
            "⟦redis-cli -h «host»⟧ -a «V» ⟦ping⟧",
            "⟦openssl pkcs12 -in «word».p12⟧ -passin pass:«V»",
            "⟦keytool -list -keystore «word».jks⟧ -storepass «V»",
            "⟦zip -r «word».zip src⟧ -P «V»",
            "⟦mongosh «host» -u «user»⟧ -p «V»",
            "⟦sqlcmd -S «host» -U «user»⟧ -P «V»",
            "⟦gpg --batch⟧ --passphrase «V» ⟦-d «word».gpg⟧",
            "echo «V» | ⟦sudo -S systemctl restart «word»⟧",
            "⟦aws configure set⟧ aws_secret_access_key «V» ⟦--profile «word»⟧",
            "⟦ldapsearch -H ldap://«host» -D cn=«user»⟧ -w «V»",
        ),
    ),
    "chpasswd": (
        "command",
        BARE_STYLES,
        ("echo '⟦«user»⟧:«V»' | ⟦sudo chpasswd⟧", '⟦useradd «user»⟧ && echo "⟦«user»⟧:«V»" | ⟦chpasswd⟧'),
    ),
    "header-bearer": (
        "output",
        BARE_STYLES,
        (
            "⟦GET /«word»⟧\nAuthorization: Bearer «V»\n⟦Accept: */*⟧",
            "⟦> accept: */*⟧\n> authorization: bearer «V»\n⟦< 200⟧",
            "{'⟦Accept⟧': '*/*', 'Authorization': 'Bearer «V»'}",
        ),
    ),
    "header-token": (
        "output",
        BARE_STYLES,
        (
            "⟦Host: «host»⟧\nAuthorization: token «V»",
            "⟦Host: «host»⟧\r\nAuthorization: ApiKey «V»\r\n",
            '⟦Host: «host»⟧\nAuthorization: Token token="«V»"',
        ),
    ),
    "header-basic": (
        "output",
        BARE_STYLES,
        (
            "⟦Host: «host»⟧\nAuthorization: Basic «BASIC»",
            "⟦>⟧ authorization: basic «BASIC»\n⟦> user-agent: «word»/1.0⟧",
        ),
    ),
    "header-api-key": (
        "command",
        BARE_STYLES,
        (
            "curl -H 'X-Api-Key: «V»' ⟦https://«host»/«word»⟧",
            '⟦curl «host»⟧ -H "x-api-key:«V»" ⟦-d @«word».json⟧',
            'curl -H "api-key: «V»" ⟦https://«host»⟧',
            "curl -H 'PRIVATE-TOKEN: «V»' ⟦https://«host»/api/v4/«word»⟧",
            "curl -H 'X-Auth-Token: «V»' ⟦https://«host»⟧",
            "curl -H 'Ocp-Apim-Subscription-Key: «V»' ⟦https://«host»⟧",
        ),
    ),
    "header-cookie": (
        "output",
        ("long", "letters", "hex"),
        (
            "⟦GET /«word» HTTP/1.1⟧\nCookie: session=«V»; theme=dark\n⟦Host: «host»⟧",
            "⟦Host: «host»⟧\ncookie: sessionid=«V»",
            "⟦curl -b⟧ 'auth_session=«V»' ⟦https://«host»⟧",
        ),
    ),
    "header-set-cookie": (
        "output",
        ("long", "letters", "hex"),
        (
            "⟦HTTP/1.1 200 OK⟧\nSet-Cookie: sid=«V»; Path=/; HttpOnly\n⟦Content-Length: «num»⟧",
            "< ⟦HTTP/2 302⟧\n< set-cookie: PHPSESSID=«V»; secure; SameSite=Lax\n< ⟦location: /«word»⟧",
        ),
    ),
    "header-proxy": (
        "output",
        BARE_STYLES,
        (
            "⟦CONNECT «host»:443⟧\nProxy-Authorization: Basic «BASIC»",
            "⟦Host: «host»⟧\nProxy-Authorization: Bearer «V»\n",
        ),
    ),
    "url-query": (
        "prose",
        BARE_STYLES,
        (
            "⟦https://«host»/v1/«word»⟧?api_key=«V»",
            "⟦see https://«host»/«word»?page=2⟧&access_token=«V» ⟦for «user»⟧",
            "⟦GET /«word»?lang=de⟧&token=«V»&⟦limit=«num»⟧",
            "⟦https://«host»/f/«word».pdf?exp=1900000000⟧&sig=«V»",
            "⟦wss://«host»/live⟧?auth=«V»",
            "⟦https://«host»/«word»⟧?key=«V»&⟦q=«word2»⟧",
            "⟦https://«host»/reset⟧?password_reset_token=«V»",
            "⟦https://«host»/cb⟧#access_token=«V»&⟦token_type=bearer⟧",
        ),
    ),
    "json-client-secret": (
        "file",
        QUOTED_STYLES,
        (
            '{"⟦client_id⟧": "«word»", "client_secret": "«V»"}',
            '{"⟦web⟧":{"clientSecret":"«V»","⟦redirect⟧":"https://«host»/cb"}}',
            '{\n  "⟦«n»⟧" : "«V»"\n}',
        ),
    ),
    "js-object": (
        "file",
        QUOTED_STYLES,
        (
            "const cfg = { ⟦host: '«host»'⟧, apiKey: '«V»' };",
            'module.exports = {\n  ⟦«c»⟧: "«V»",\n  ⟦port: «port»⟧\n}',
            "⟦firebase.init⟧({ secretKey: `«V»` })",
        ),
    ),
    "python-dict": (
        "file",
        QUOTED_STYLES,
        (
            "⟦DATABASES⟧ = {'⟦HOST⟧': '«host»', 'PASSWORD': '«V»'}",
            '⟦conn = connect(host="«host»", user="«user»",⟧ password="«V»")',
            '⟦auth=⟧("⟦«user»⟧", "«V»")  ⟦# basic auth password for «word»⟧',
            '⟦cfg⟧["⟦«n»⟧"] = "«V»"',
            'Config(⟦«n»⟧="«V»", ⟦debug=True⟧)',
        ),
    ),
    "name-value-pair": (
        "file",
        QUOTED_STYLES,
        (
            '{"name":"⟦«N»⟧","value":"«V»"}',
            '- name: ⟦«N»⟧\n  value: «V»\n- name: ⟦PORT⟧\n  value: "⟦«port»⟧"',
            '{"key": "⟦«N»⟧", "value": "«V»", "⟦target⟧": ["production"]}',
            '[{"Name": "⟦«N»⟧", "Value": "«V»"}]',
        ),
    ),
    "netrc": (
        "file",
        BARE_STYLES,
        (
            "machine ⟦«host»⟧\n  login ⟦«user»⟧\n  password «V»\n",
            "machine ⟦«host»⟧ login ⟦«user»⟧ password «V»",
            "⟦default⟧ login ⟦«user»⟧ password «V»\n",
        ),
    ),
    "pgpass": (
        "output",
        BARE_STYLES,
        ("⟦$ cat ~/.pgpass⟧\n⟦«host»:5432:«db»:«user»⟧:«V»\n", "⟦# .pgpass⟧\n⟦*:*:*:«user»⟧:«V»"),
    ),
    "npmrc": (
        "file",
        BARE_STYLES,
        (
            "⟦registry=https://«host»/⟧\n//⟦«host»⟧/:_authToken=«V»\n",
            "//⟦«host»/npm⟧/:_password=«BASE»\n⟦always-auth=true⟧",
            "_auth=«BASIC»\n⟦email=«user»@«host»⟧",
        ),
    ),
    "kubeconfig": (
        "file",
        ("long", "letters"),
        (
            "⟦users:⟧\n- name: ⟦«user»⟧\n  user:\n    token: «V»\n",
            "⟦- name: «word»⟧\n  user:\n    ⟦username: «user»⟧\n    password: «V»",
            "⟦users:⟧\n- name: ⟦«word»⟧\n  user:\n    client-key-data: «BASE»\n",
        ),
    ),
    "terraform": (
        "file",
        QUOTED_STYLES,
        (
            'variable "⟦«n»⟧" {\n  ⟦type⟧    = string\n  default = "«V»"\n}',
            '⟦«n»⟧ = "«V»"\n⟦region = "«region»"⟧',
            '⟦resource "aws_db_instance" "«word»"⟧ {\n  username = "⟦«user»⟧"\n  password = "«V»"\n}',
        ),
    ),
    "docker-compose": (
        "file",
        BARE_STYLES,
        (
            "⟦services:⟧\n  db:\n    image: ⟦postgres:16⟧\n    environment:\n      POSTGRES_PASSWORD: «V»\n",
            "    environment:\n      - ⟦MYSQL_USER=«user»⟧\n      - MYSQL_ROOT_PASSWORD=«V»",
            "    command: ⟦redis-server⟧ --requirepass «V»",
        ),
    ),
    "dockerfile": (
        "file",
        BARE_STYLES,
        (
            "⟦FROM alpine⟧\nENV ⟦«N»⟧=«V»\n⟦RUN make⟧",
            '⟦FROM node:22⟧\nARG ⟦«N»⟧="«V»"',
            "ENV ⟦«N»⟧ «V»\n⟦EXPOSE «port»⟧",
        ),
    ),
    "django-secret-key": (
        "file",
        ("django",),
        (
            "⟦DEBUG = True⟧\nSECRET_KEY = '«V»'\n⟦ALLOWED_HOSTS = []⟧",
            'SECRET_KEY = "django-insecure-«V»"',
            "SECRET_KEY = env('SECRET_KEY', default='«V»')",
        ),
    ),
    "rails-secret-base": (
        "file",
        ("hex128",),
        (
            "⟦production:⟧\n  secret_key_base: «V»\n",
            "⟦Rails.application.config⟧.secret_key_base = '«V»'",
            "SECRET_KEY_BASE=«V»\n⟦RAILS_ENV=production⟧",
        ),
    ),
    "sql-identified-by": (
        "command",
        BARE_STYLES,
        (
            "⟦CREATE USER '«user»'@'%'⟧ IDENTIFIED BY '«V»';",
            "⟦ALTER USER «user»⟧ WITH PASSWORD '«V»';",
            "⟦psql -c⟧ \"⟦CREATE ROLE «user» LOGIN⟧ PASSWORD '«V»'\"",
            "⟦GRANT ALL ON «db».* TO '«user»'@'«host»'⟧ IDENTIFIED BY '«V»'",
            "⟦CREATE LOGIN «user»⟧ WITH PASSWORD = N'«V»';",
            "⟦SET PASSWORD FOR '«user»'@'%'⟧ = PASSWORD('«V»');",
        ),
    ),
    "htpasswd": (
        "command",
        BARE_STYLES,
        ("⟦htpasswd -bc .htpasswd «user»⟧ «V»", "⟦htpasswd -nbB «user»⟧ '«V»' ⟦> /etc/«word»/users⟧"),
    ),
    "htpasswd-hash": (
        "file",
        ("apr",),
        ("⟦«user»⟧:$apr1$«V»\n", "⟦«user»⟧:$2y$10$«V»\n", "⟦root⟧:$6$«V»:19700:0:99999:7:::"),
    ),
    "spoken-password": (
        "prose",
        ANY_STYLES,
        (
            "⟦the password is⟧ «V»",
            "⟦The «word» password is⟧ «V» ⟦and the user is «user».⟧",
            "⟦log in to «host» as «user» with the password⟧ «V»⟦, please⟧",
            '⟦My password for «host» is⟧ "«V»"⟦.⟧',
            "⟦das Passwort für «word» ist⟧ «V»",
            "⟦new root password:⟧ «V»",
            "⟦user «user», pass⟧ «V»",
            "⟦le mot de passe de «word» est⟧ «V»",
        ),
    ),
    "spoken-key": (
        "prose",
        ("letters", "long", "hex", "dashed"),
        (
            "⟦here is the API key:⟧ «V»",
            "⟦Here's the token for «host»⟧ - «V» ⟦- it expires in «num» days⟧",
            "⟦use⟧ `«V»` ⟦as the API key for «word»⟧",
            "⟦client secret:⟧ «V»",
            "⟦The access token you asked for is:⟧\n«V»",
            "⟦«word» api key =⟧ «V»",
            "⟦mein API-Schlüssel lautet⟧ «V»",
            "⟦secret key is⟧ «V»⟦; keep it safe⟧",
        ),
    ),
    "login-pair": (
        "prose",
        BARE_STYLES,
        (
            "⟦credentials for «host»: «user»⟧ / «V»",
            "⟦login «user»⟧, password «V»",
            "⟦Username: «user»⟧\nPassword: «V»\n⟦URL: https://«host»⟧",
            "⟦Zugang: «user»⟧\nKennwort: «V»",
        ),
    ),
    "ansible": (
        "file",
        BARE_STYLES,
        (
            "⟦ansible_user=«user»⟧ ansible_password=«V»",
            "⟦all:⟧\n  vars:\n    ansible_become_pass: «V»\n    ⟦ansible_host: «ip»⟧",
            "⟦«word»⟧ ansible_ssh_pass='«V»' ⟦ansible_port=22⟧",
        ),
    ),
    "git-config": (
        "file",
        BARE_STYLES,
        (
            "[⟦sendemail⟧]\n\tsmtpuser = ⟦«user»⟧\n\tsmtppass = «V»\n",
            "[http]\n\textraheader = Authorization: Basic «BASIC»\n[⟦user⟧]\n\tname = ⟦«user»⟧",
        ),
    ),
    "maven-settings": (
        "file",
        BARE_STYLES,
        (
            "<server>\n  <id>⟦«word»⟧</id>\n  <username>⟦«user»⟧</username>\n  <password>«V»</password>\n</server>",
        ),
    ),
    "pypirc": (
        "file",
        BARE_STYLES,
        ("[⟦«word»⟧]\nrepository = ⟦https://«host»/⟧\nusername = ⟦«user»⟧\npassword = «V»\n",),
    ),
    "wpa-supplicant": ("file", BARE_STYLES, ('network={\n  ssid="⟦«word»⟧"\n  psk="«V»"\n}',)),
    "wp-config": (
        "file",
        QUOTED_STYLES,
        (
            "⟦define( 'DB_USER', '«user»' );⟧\ndefine( 'DB_PASSWORD', '«V»' );",
            "define('AUTH_KEY', '«V»');\n⟦$table_prefix = 'wp_';⟧",
            "define('LOGGED_IN_SALT',   '«V»');",
        ),
    ),
    "wireguard": (
        "file",
        ("key32",),
        (
            "[Interface]\nPrivateKey = «V»\n⟦Address = «ip»/24⟧",
            "[Peer]\nPresharedKey = «V»\n⟦Endpoint = «host»:51820⟧",
        ),
    ),
    "totp-url": (
        "prose",
        ("base32",),
        (
            "otpauth://totp/⟦«word»:«user»⟧?secret=«V»&issuer=⟦«word»⟧",
            "⟦Setup code for «user»:⟧ otpauth://totp/⟦«host»⟧?secret=«V»",
        ),
    ),
    "ci-variables": (
        "command",
        BARE_STYLES,
        (
            '⟦gh secret set⟧ «N» -b "«V»"',
            "⟦fly secrets set⟧ «N»=«V» ⟦-a «word»⟧",
            "⟦vault kv put secret/«word»⟧ password=«V»",
            "⟦aws ssm put-parameter --name /«word»/«n» --type SecureString⟧ --value '«V»'",
            '⟦npx wrangler secret put «N»⟧ <<< "«V»"',
        ),
    ),
    "form-body": (
        "command",
        BARE_STYLES,
        (
            "⟦curl -X POST https://«host»/token⟧ -d 'grant_type=password&⟦username=«user»⟧&password=«V»'",
            "⟦curl https://«host»/oauth/token⟧ -d client_secret=«V» -d ⟦client_id=«word»⟧",
            "⟦http POST «host»/login user=«user»⟧ password=«V»",
            '⟦curl «host»/login⟧ -d \'{"⟦user⟧":"«user»","password":"«V»"}\'',
        ),
    ),
    "redis-auth": (
        "output",
        BARE_STYLES,
        ("⟦«ip»:6379>⟧ AUTH «V»\n⟦OK⟧", "⟦requirepass⟧ «V»\n⟦maxmemory 2gb⟧", "⟦masterauth⟧ «V»"),
    ),
    "getenv-default": (
        "file",
        BARE_STYLES,
        (
            '⟦«n» = os.environ.get("«N»",⟧ "«V»")',
            "⟦ENV.fetch('«N»',⟧ '«V»')",
            "⟦export «N»=${«N»:-⟧«V»}",
            '⟦"«word»": env("«N»") ??⟧ "«V»"',
        ),
    ),
}
EXTRA_STYLES = {
    "django": lambda key: "".join(
        key.pick("abcdefghijklmnopqrstuvwxyz0123456789!@$^&*(-_=+)") for _ in range(50)
    ),
    "hex128": lambda key: key.text("h", 128),
    "apr": lambda key: key.text("b", 8) + "$" + key.text("b", 40),
    "key32": lambda key: key.text("B", 43) + "=",
    "base32": lambda key: key.text("t", 32),
}
# Where the parts of the value are of different worth, the leak-critical one is cut out of it.
CORE_OF = {"apr": lambda value: value.split("$")[1], "key32": lambda value: value.rstrip("=")}


def throw(look: Dice, key: Dice, styles: tuple[str, ...]) -> tuple[str, str]:
    """A password of one of the styles, and its leak-critical part."""
    style = look.pick(styles)
    value = EXTRA_STYLES[style](key) if style in EXTRA_STYLES else password(key, style)
    return value, CORE_OF.get(style, str)(value)


def generic_secret(look: Dice, key: Dice, styles: tuple[str, ...] = ANY_STYLES) -> Secret:
    """A password under one of the usual names, for records that bring the name themselves."""
    value, core = throw(look, key, styles)
    return Secret("generic", value, (core,), (look.pick(NAMES),), bare=False)


def contextual(form: str, template_index: int, look: Dice, key: Dice) -> tuple[Secret, Snippet]:
    """A secret of the given form in one of its templates."""
    kind, styles, templates = FORMS[form]
    value, core = throw(look, key, styles)
    name = look.pick(NAMES)
    user = look.pick(("svc", "mara", "deploy", "admin", "root", "reader"))
    values = {"V": value, "user": user, **spellings(name)}
    values["BASIC"] = base64.b64encode(f"{user}:{value}".encode()).decode()
    values["BASE"] = base64.b64encode(value.encode()).decode()
    text, keep = fill(templates[template_index % len(templates)], look, values)
    snippet = Snippet(form, kind, text, keep, look.path("." + {"file": "conf"}.get(kind, "txt")))
    return Secret(form, value, (core,), (name,), bare=False), snippet
