"""Secrets in the public forms of their providers, made at random; then JWT, PEM, URLs and key pairs."""

from __future__ import annotations

import base64
import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.redact.second.dice import Token, chars, tame, token, wild, word

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


@dataclass(frozen=True)
class Form:
    """One form: how to make a secret of it, the names of variables that hold it, whether it needs such a name."""

    name: str
    make: Callable[[random.Random], Token]
    variables: tuple[str, ...]
    keyed: bool = False
    bulky: bool = False


# name | variables | template; a form whose name ends with "!" is recognisable only by its variable.
SIMPLE = """
github-pat-classic | GITHUB_TOKEN GH_TOKEN | ghp_{A36}
github-oauth | GITHUB_OAUTH_TOKEN gh_oauth | gho_{A36}
github-user-server | GH_USER_TOKEN | ghu_{A36}
github-server | GITHUB_TOKEN ghs_token | ghs_{A36}
github-refresh | GH_REFRESH_TOKEN | ghr_{A76}
github-pat-fine | GITHUB_PAT githubToken | github_pat_{A22}_{A59}
gitlab-pat | GITLAB_TOKEN CI_JOB_PAT | glpat-{B20}
gitlab-pat-routable | GITLAB_PRIVATE_TOKEN | glpat-{B27}.01.{!l9}
gitlab-deploy | GITLAB_DEPLOY_TOKEN | gldt-{B20}
gitlab-runner | RUNNER_TOKEN | glrt-{B20}
gitlab-trigger | CI_TRIGGER | glptt-{h40}
gitlab-job | CI_JOB_TOKEN | glcbt-{!h2}_{B20}
gitlab-oauth-app | GITLAB_APP_SECRET | gloas-{h64}
gitlab-feed | FEED_TOKEN | glft-{B20}
gitlab-agent | KAS_TOKEN | glagent-{B50}
gitlab-scim | SCIM_TOKEN | glsoat-{B20}
gitlab-mail | INCOMING_MAIL | glimt-{B25}
bitbucket-app-password | BITBUCKET_APP_PASSWORD | ATBB{A28}{H8}
aws-bedrock-key | AWS_BEARER_TOKEN_BEDROCK | ABSK{b128}
google-api-key | GOOGLE_API_KEY MAPS_KEY | AIza{B35}
google-oauth-secret | GOOGLE_CLIENT_SECRET | GOCSPX-{B28}
google-access-token | GOOGLE_ACCESS_TOKEN | ya29.{B140-180}
google-refresh-token | GOOGLE_REFRESH_TOKEN | 1//0{!d1}{B60-90}
gemini-key | GEMINI_API_KEY | AIza{B35}
azure-client-secret | AZURE_CLIENT_SECRET ARM_CLIENT_SECRET | {A3}8Q~{A34}
azure-devops-pat! | AZURE_DEVOPS_EXT_PAT | {t52}
azure-openai-key! | AZURE_OPENAI_API_KEY | {h32}
azure-search-key | AZURE_SEARCH_ADMIN_KEY | {A42}AzSe{A6}
slack-bot | SLACK_BOT_TOKEN | xoxb-{!d12}-{!d13}-{A24}
slack-user | SLACK_USER_TOKEN | xoxp-{!d12}-{!d12}-{!d13}-{h32}
slack-legacy | SLACK_TOKEN | xoxs-{!d10}-{!d10}-{!d10}-{h10}
slack-app-access | SLACK_ACCESS | xoxa-2-{!d12}-{!d12}-{!d12}-{h32}
slack-refresh | SLACK_REFRESH | xoxe-1-{A146}
slack-config | SLACK_CONFIG_TOKEN | xoxe.xoxp-1-{A163}
slack-app | SLACK_APP_TOKEN | xapp-1-A0{!U9}-{!d13}-{h64}
slack-webhook | SLACK_WEBHOOK_URL | https://hooks.slack.com/services/T0{!U8}/B0{!U8}/{A24}
slack-workflow | SLACK_WORKFLOW_URL | https://hooks.slack.com/workflows/T0{!U8}/A0{!U8}/{!d18}/{A24}
discord-bot | DISCORD_TOKEN BOT_TOKEN | MT{A24}.{A6}.{B38}
discord-webhook | DISCORD_WEBHOOK | https://discord.com/api/webhooks/{!d18}/{B68}
telegram-bot | TELEGRAM_BOT_TOKEN | {!d10}:AA{B33}
teams-webhook | TEAMS_WEBHOOK | https://acme.webhook.office.com/webhookb2/{uuid}@{!uuid}/IncomingWebhook/{h32}/{!uuid}
stripe-live | STRIPE_SECRET_KEY STRIPE_API_KEY | sk_live_{A24}
stripe-live-long | STRIPE_SK | sk_live_51{A97}
stripe-restricted | STRIPE_RESTRICTED_KEY | rk_live_{A24}
stripe-webhook | STRIPE_WEBHOOK_SECRET | whsec_{A32}
square-access | SQUARE_ACCESS_TOKEN | EAAA{B60}
square-legacy | SQUARE_TOKEN | sq0atp-{B22}
square-secret | SQUARE_APP_SECRET | sq0csp-{B43}
braintree | BRAINTREE_ACCESS_TOKEN | access_token$production${!l16}${h32}
paypal-secret! | PAYPAL_CLIENT_SECRET | E{B79}
twilio-key | TWILIO_API_KEY | SK{h32}
twilio-auth! | TWILIO_AUTH_TOKEN | {h32}
sendgrid | SENDGRID_API_KEY | SG.{B22}.{B43}
mailgun | MAILGUN_API_KEY | key-{h32}
mailchimp | MAILCHIMP_API_KEY | {h32}-us{!d1}
brevo | BREVO_API_KEY | xkeysib-{h64}-{A16}
resend | RESEND_API_KEY | re_{A8}_{A24}
postmark! | POSTMARK_SERVER_TOKEN | {uuid}
openai-legacy | OPENAI_API_KEY | sk-{A20}T3BlbkFJ{A20}
openai-project | OPENAI_API_KEY openai_api_key | sk-proj-{B74}T3BlbkFJ{B74}
openai-service | OPENAI_API_KEY | sk-svcacct-{B74}T3BlbkFJ{B74}
openai-admin | OPENAI_ADMIN_KEY | sk-admin-{B74}T3BlbkFJ{B74}
anthropic-api | ANTHROPIC_API_KEY anthropicApiKey | sk-ant-api03-{B93}AA
anthropic-oauth | CLAUDE_CODE_OAUTH_TOKEN | sk-ant-oat01-{B93}AA
anthropic-refresh | CLAUDE_REFRESH | sk-ant-ort01-{B93}AA
anthropic-admin | ANTHROPIC_ADMIN_KEY | sk-ant-admin01-{B93}AA
deepseek | DEEPSEEK_API_KEY | sk-{h32}
groq | GROQ_API_KEY | gsk_{A52}
xai | XAI_API_KEY | xai-{A80}
perplexity | PPLX_API_KEY PERPLEXITY_API_KEY | pplx-{A48}
openrouter | OPENROUTER_API_KEY | sk-or-v1-{h64}
huggingface | HF_TOKEN HUGGINGFACE_HUB_TOKEN | hf_{L34}
replicate | REPLICATE_API_TOKEN | r8_{A37}
cohere! | COHERE_API_KEY CO_API_KEY | {A40}
mistral! | MISTRAL_API_KEY | {A32}
fireworks | FIREWORKS_API_KEY | fw_{A24}
together! | TOGETHER_API_KEY | {h64}
together-new | TOGETHER_API_KEY | tgp_v1_{B43}
langfuse-secret | LANGFUSE_SECRET_KEY | sk-lf-{uuid}
langsmith | LANGSMITH_API_KEY LANGCHAIN_API_KEY | lsv2_pt_{h32}_{h10}
langsmith-service | LANGSMITH_API_KEY | lsv2_sk_{h32}_{h10}
tavily | TAVILY_API_KEY | tvly-{A32}
tavily-dev | TAVILY_API_KEY | tvly-dev-{A32}
pinecone | PINECONE_API_KEY | pcsk_{A6}_{A63}
wandb! | WANDB_API_KEY | {h40}
nvidia | NVIDIA_API_KEY NGC_API_KEY | nvapi-{B64}
cerebras | CEREBRAS_API_KEY | csk-{l48}
voyage | VOYAGE_API_KEY | pa-{B43}
jina | JINA_API_KEY | jina_{h32}{A28}
firecrawl | FIRECRAWL_API_KEY | fc-{h32}
elevenlabs | ELEVENLABS_API_KEY | sk_{h48}
deepgram! | DEEPGRAM_API_KEY | {h40}
assemblyai! | ASSEMBLYAI_API_KEY | {h32}
brave-search | BRAVE_API_KEY | BSA{B27}
e2b | E2B_API_KEY | e2b_{h40}
exa! | EXA_API_KEY | {uuid}
npm | NPM_TOKEN NODE_AUTH_TOKEN | npm_{A36}
pypi | PYPI_TOKEN TWINE_PASSWORD | pypi-AgEIcHlwaS5vcmc{B150-170}
rubygems | GEM_HOST_API_KEY | rubygems_{h48}
crates | CARGO_REGISTRY_TOKEN | cio{A32}
docker-pat | DOCKERHUB_TOKEN DOCKER_PASSWORD | dckr_pat_{B27}
docker-org | DOCKER_ORG_TOKEN | dckr_oat_{B32}
nuget | NUGET_API_KEY | oy2{l43}
terraform-cloud | TF_API_TOKEN TFE_TOKEN | {A14}.atlasv1.{B67}
vault-service | VAULT_TOKEN | hvs.{B95}
vault-batch | VAULT_TOKEN | hvb.{B140}
vault-legacy | VAULT_TOKEN | s.{A24}
doppler-personal | DOPPLER_TOKEN | dp.pt.{A43}
doppler-service | DOPPLER_TOKEN | dp.st.prd.{A43}
onepassword | OP_SERVICE_ACCOUNT_TOKEN | ops_eyJ{B260}
databricks | DATABRICKS_TOKEN | dapi{h32}
snowflake! | SNOWFLAKE_PASSWORD | {A22}
supabase-pat | SUPABASE_ACCESS_TOKEN | sbp_{h40}
supabase-secret | SUPABASE_SECRET_KEY | sb_secret_{B22}_{B8}
planetscale-token | PLANETSCALE_SERVICE_TOKEN | pscale_tkn_{B43}
planetscale-password | PLANETSCALE_PASSWORD | pscale_pw_{B43}
neon-api | NEON_API_KEY | napi_{l64}
neon-role | NEON_ROLE_PASSWORD | npg_{A12}
fly | FLY_API_TOKEN | FlyV1 fm2_{b120}
heroku-platform | HEROKU_API_KEY | HRKU-AA{B58}
heroku-uuid! | HEROKU_API_KEY | {uuid}
vercel! | VERCEL_TOKEN | {A24}
netlify | NETLIFY_AUTH_TOKEN | nfp_{A36}
cloudflare-token! | CLOUDFLARE_API_TOKEN CF_API_TOKEN | {B40}
cloudflare-global! | CLOUDFLARE_GLOBAL_API_KEY | {h37}
cloudflare-origin | CF_ORIGIN_CA_KEY | v1.0-{h24}-{h146}
digitalocean-pat | DIGITALOCEAN_TOKEN DO_PAT | dop_v1_{h64}
digitalocean-oauth | DO_OAUTH | doo_v1_{h64}
digitalocean-refresh | DO_REFRESH | dor_v1_{h64}
linode! | LINODE_TOKEN LINODE_CLI_TOKEN | {h64}
hetzner! | HCLOUD_TOKEN | {A64}
render | RENDER_API_KEY | rnd_{A32}
railway! | RAILWAY_TOKEN | {uuid}
scaleway! | SCW_SECRET_KEY | {uuid}
pulumi | PULUMI_ACCESS_TOKEN | pul-{h40}
buildkite | BUILDKITE_TOKEN | bkua_{h40}
circleci | CIRCLE_TOKEN | CCIPAT_{A22}_{h40}
sonarqube | SONAR_TOKEN | sqp_{h40}
sonar-user | SONAR_TOKEN | squ_{h40}
artifactory | ARTIFACTORY_API_KEY | AKCp{A69}
codecov! | CODECOV_TOKEN | {uuid}
snyk! | SNYK_TOKEN | {uuid}
shopify-admin | SHOPIFY_ACCESS_TOKEN | shpat_{h32}
shopify-secret | SHOPIFY_API_SECRET | shpss_{h32}
shopify-custom | SHOPIFY_TOKEN | shpca_{h32}
atlassian | JIRA_API_TOKEN ATLASSIAN_TOKEN | ATATT3xFfGF0{B180}={H8}
linear | LINEAR_API_KEY | lin_api_{A40}
notion | NOTION_TOKEN | ntn_{d11}{A35}
notion-legacy | NOTION_API_KEY | secret_{A43}
figma | FIGMA_TOKEN | figd_{B40}
postman | POSTMAN_API_KEY | PMAK-{h24}-{h34}
airtable | AIRTABLE_API_KEY | pat{A14}.{h64}
asana | ASANA_PAT | 1/{!d16}:{h32}
asana-new | ASANA_ACCESS_TOKEN | 2/{!d16}/{!d16}:{h32}
dropbox | DROPBOX_ACCESS_TOKEN | sl.{B136}
dropbox-user | DROPBOX_TOKEN | sl.u.{B150}
sentry-org | SENTRY_AUTH_TOKEN | sntrys_eyJ{b120}_{b43}
sentry-user | SENTRY_AUTH_TOKEN | sntryu_{h64}
grafana-service | GRAFANA_TOKEN | glsa_{A32}_{h8}
grafana-cloud | GRAFANA_CLOUD_TOKEN | glc_eyJ{b110}
newrelic-user | NEW_RELIC_API_KEY | NRAK-{U27}
newrelic-license! | NEW_RELIC_LICENSE_KEY | {h36}NRAL
datadog-api! | DD_API_KEY DATADOG_API_KEY | {h32}
datadog-app! | DD_APP_KEY DATADOG_APP_KEY | {h40}
pagerduty! | PAGERDUTY_TOKEN PD_API_KEY | u+{A18}
dynatrace | DT_API_TOKEN | dt0c01.{!U24}.{U64}
facebook | FACEBOOK_ACCESS_TOKEN | EAA{A180}
twitter-bearer | TWITTER_BEARER_TOKEN | AAAAAAAAAAAAAAAAAAAAA{A32}%3D{A50}
mapbox-secret | MAPBOX_SECRET_TOKEN | sk.eyJ{B70}.{B22}
ngrok! | NGROK_AUTHTOKEN | 2{A26}_{A21}
tailscale | TS_AUTHKEY | tskey-auth-{!A12}CNTRL-{A32}
tailscale-api | TS_API_KEY | tskey-api-{!A12}CNTRL-{A32}
age-key | SOPS_AGE_KEY | AGE-SECRET-KEY-1{Z58}
hubspot | HUBSPOT_TOKEN | pat-na1-{uuid}
okta! | OKTA_API_TOKEN | 00{B40}
contentful | CONTENTFUL_MANAGEMENT_TOKEN | CFPAT-{B43}
typeform | TYPEFORM_TOKEN | tfp_{B44}_{A14}
clickup | CLICKUP_TOKEN | pk_{!d8}_{U32}
launchdarkly | LD_SDK_KEY | sdk-{uuid}
posthog | POSTHOG_PERSONAL_API_KEY | phx_{A43}
prefect | PREFECT_API_KEY | pnu_{A36}
sourcegraph | SRC_ACCESS_TOKEN | sgp_{h16}_{h40}
easypost | EASYPOST_API_KEY | EZAK{A54}
readme | README_API_KEY | rdme_{l70}
duffel | DUFFEL_TOKEN | duffel_live_{B43}
flutterwave | FLW_SECRET_KEY | FLWSECK-{h32}-X
frameio | FRAMEIO_TOKEN | fio-u-{B64}
algolia-admin! | ALGOLIA_ADMIN_API_KEY | {h32}
alibaba | ALIBABA_CLOUD_ACCESS_KEY_ID | LTAI5t{A18}
planetscale-oauth | PLANETSCALE_OAUTH | pscale_oauth_{B43}
cursor-key | CURSOR_API_KEY | key_{h64}
databricks-oauth | DATABRICKS_CLIENT_SECRET | dose{h32}
lark-webhook | FEISHU_HOOK | https://open.feishu.cn/open-apis/bot/v2/hook/{uuid}
zapier-hook | ZAPIER_HOOK | https://hooks.zapier.com/hooks/catch/{!d7}/{l7}/
infracost | INFRACOST_API_KEY | ico-{A32}
"""


def simple_forms() -> list[Form]:
    """Read the table of the simple forms."""
    forms = []
    for row in SIMPLE.strip().splitlines():
        name, variables, template = (part.strip() for part in row.split(" | "))
        forms.append(
            Form(
                name.rstrip("!"),
                lambda rng, t=template: token(rng, t),
                tuple(variables.split()),
                name.endswith("!"),
            )
        )
    return forms


def b64url(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(rng: random.Random, parts: int = 3) -> Token:
    """A JSON web token; its payload and signature are the cores."""
    header = b64url(
        json.dumps(
            {"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}, separators=(",", ":")
        ).encode()
    )
    claims = {"user": chars(rng, "A36"), "scope": "read", "iat": rng.randint(17 * 10**8, 19 * 10**8)}
    payload = b64url(json.dumps(claims, separators=(",", ":")).encode())
    core = payload[12:60]  # the random claim: nine bytes of JSON before it make twelve characters
    if parts == 2:
        return Token(f"{header}.{payload}.", (core,))
    signature = chars(rng, rng.choice(["B43", "B86", "B342"]))
    return Token(f"{header}.{payload}.{signature}", (core, signature))


PEM_KINDS = {
    "pem-rsa": ("RSA PRIVATE KEY", "MIIE"),
    "pem-ec": ("EC PRIVATE KEY", "MHcC"),
    "pem-dsa": ("DSA PRIVATE KEY", "MIIB"),
    "pem-openssh": ("OPENSSH PRIVATE KEY", "b3Bl"),
    "pem-pkcs8": ("PRIVATE KEY", "MIIE"),
    "pem-encrypted": ("ENCRYPTED PRIVATE KEY", "MIIF"),
    "pem-pgp": ("PGP PRIVATE KEY BLOCK", "lQOY"),
}


def pem(rng: random.Random, kind: str) -> Token:
    """A private key block; every line of its body is a core."""
    title, start = PEM_KINDS[kind]
    width = 70 if kind == "pem-openssh" else 64
    count = rng.randint(3, 5) if kind == "pem-ec" else rng.randint(6, 22)
    lines = [start + chars(rng, f"b{width - 4}")] + [chars(rng, f"b{width}") for _ in range(count)]
    lines.append(chars(rng, "b22") + "==")
    head, tail = f"-----BEGIN {title}-----", f"-----END {title}-----"
    extra = []
    if kind == "pem-rsa" and rng.random() < 0.3:
        extra = ["Proc-Type: 4,ENCRYPTED", f"DEK-Info: AES-128-CBC,{chars(rng, 'H32')}", ""]
    if kind == "pem-pgp":
        extra = [""]
        lines.append("=" + chars(rng, "b4"))
    cores = (lines[0][4:], *lines[1:-1], lines[-1] if kind != "pem-pgp" else lines[-2])
    return Token("\n".join([head, *extra, *lines, tail]), cores)


def service_account(rng: random.Random) -> Token:
    """A service account file of Google."""
    key = pem(rng, "pem-pkcs8")
    project = "acme-" + chars(rng, "w6")
    record = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": chars(rng, "h40"),
        "private_key": key.text + "\n",
        "client_email": f"svc@{project}.iam.gserviceaccount.com",
        "client_id": chars(rng, "d21"),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return Token(json.dumps(record, indent=rng.choice([None, 2])), key.cores, (project, "service_account"))


def aws_secret(rng: random.Random) -> Token:
    """A secret access key of AWS."""
    text = chars(rng, "b40")
    return Token(text, (text,))


URL_FORMS = {
    "postgres-url": ("postgres://", "postgresql://"),
    "mysql-url": ("mysql://", "mariadb://"),
    "mongodb-srv-url": ("mongodb+srv://",),
    "mongodb-url": ("mongodb://",),
    "redis-url": ("redis://", "rediss://"),
    "amqp-url": ("amqp://", "amqps://"),
    "sqlalchemy-url": ("postgresql+psycopg2://", "mysql+pymysql://", "mssql+pyodbc://"),
    "clickhouse-url": ("clickhouse://",),
    "ftp-url": ("ftp://", "sftp://"),
    "smtp-url": ("smtp://", "smtps://"),
    "nats-url": ("nats://",),
    "ldap-url": ("ldap://",),
    "http-userinfo": ("https://", "http://"),
    "proxy-userinfo": ("http://", "socks5://"),
}


def url_with_user(rng: random.Random, form: str) -> Token:
    """A URL with a user and a password."""
    scheme = rng.choice(URL_FORMS[form])
    user = "" if form == "redis-url" and rng.random() < 0.6 else word(rng, "user")
    password = tame(rng) if rng.random() < 0.6 else wild(rng)
    written = urllib.parse.quote(password, safe="")
    host, database = word(rng, "host"), word(rng, "db")
    tail = rng.choice(
        [
            f":{word(rng, 'port')}/{database}",
            f"/{database}?sslmode=require",
            f"/{database}",
            f":{word(rng, 'port')}",
        ]
    )
    core = password if written == password else written
    keep = (host, user) if user else (host,)
    return Token(f"{scheme}{user}:{written}@{host}{tail}", (core,), keep)


def git_remote(rng: random.Random) -> Token:
    """A git remote with a token in its user part."""
    made = token(rng, rng.choice(["ghp_{A36}", "glpat-{B20}", "{A32}", "github_pat_{A22}_{A59}"]))
    user = rng.choice(["", "oauth2:", "x-access-token:", "gitlab-ci-token:", "kim:"])
    host = rng.choice(["github.com", "gitlab.com", "git.acme.test", "bitbucket.org"])
    repo = f"acme/{word(rng, 'app')}.git"
    return Token(f"https://{user or 'git:'}{made.text}@{host}/{repo}", made.cores, (host, repo))


def ado(rng: random.Random) -> Token:
    """A connection string of ADO."""
    password = tame(rng)
    host = word(rng, "host")
    key = rng.choice(["Password", "Pwd", "password", "PWD"])
    user = word(rng, "user")
    text = f"Server=tcp:{host},1433;Initial Catalog={word(rng, 'db')};User ID={user};{key}={password};Encrypt=True;"
    return Token(text, (password,), (host, user))


def odbc(rng: random.Random) -> Token:
    """A connection string of ODBC, its password in braces."""
    password = wild(rng).replace(";", "x").replace("]", "y")
    host = word(rng, "host")
    return Token(
        f"Driver={{ODBC Driver 18 for SQL Server}};Server={host};Uid=sa;Pwd={{{password}}};",
        (password,),
        (host,),
    )


def jdbc(rng: random.Random) -> Token:
    """A JDBC URL with the password as a parameter."""
    password = tame(rng)
    host, user = word(rng, "host"), word(rng, "user")
    scheme, sep, amp = rng.choice(
        [("postgresql", "?", "&"), ("mysql", "?", "&"), ("sqlserver", ";", ";"), ("mariadb", "?", "&")]
    )
    return Token(
        f"jdbc:{scheme}://{host}/{word(rng, 'db')}{sep}user={user}{amp}password={password}{amp}ssl=true",
        (password,),
        (host, user),
    )


def libpq(rng: random.Random) -> Token:
    """A key-value connection string of libpq."""
    password = tame(rng)
    host, user = word(rng, "host"), word(rng, "user")
    return Token(
        f"host={host} port=5432 dbname={word(rng, 'db')} user={user} password={password} sslmode=require",
        (password,),
        (host, user),
    )


def jdbc_oracle(rng: random.Random) -> Token:
    """An Oracle thin URL: user and password before the host."""
    password = tame(rng)
    host = word(rng, "host")
    return Token(f"jdbc:oracle:thin:app/{password}@//{host}:1521/ORCL", (password,), (host,))


def go_mysql(rng: random.Random) -> Token:
    """A DSN of the MySQL driver of Go."""
    password = tame(rng)
    host, user = word(rng, "host"), word(rng, "user")
    return Token(f"{user}:{password}@tcp({host}:3306)/{word(rng, 'db')}?parseTime=true", (password,), (host,))


def azure_storage(rng: random.Random) -> Token:
    """A connection string of Azure storage."""
    key = chars(rng, "b86")
    account = "acme" + chars(rng, "w6")
    text = f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key}==;EndpointSuffix=core.windows.net"
    return Token(text, (key,), (account,))


def azure_bus(rng: random.Random) -> Token:
    """A connection string of a service bus."""
    key = chars(rng, "b43")
    name = "acme" + chars(rng, "w6")
    text = (
        f"Endpoint=sb://{name}.servicebus.windows.net/;SharedAccessKeyName=RootManage;SharedAccessKey={key}="
    )
    return Token(text, (key,), (name,))


def azure_sas(rng: random.Random) -> Token:
    """A storage URL with a shared access signature."""
    sig = chars(rng, "A14") + "%2B" + chars(rng, "A20") + "%2F" + chars(rng, "A7")
    account = "acme" + chars(rng, "w6")
    text = f"https://{account}.blob.core.windows.net/backups?sv=2022-11-02&ss=b&srt=co&sp=rl&se=2026-12-31T00:00:00Z&sig={sig}%3D"
    return Token(text, (sig,), (account,))


def s3_presigned(rng: random.Random) -> Token:
    """A presigned URL of S3."""
    sig = chars(rng, "h64")
    ident = chars(rng, "T16")
    text = (
        f"https://acme-data.s3.{word(rng, 'region')}.amazonaws.com/export/{word(rng, 'db')}.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential=AKIA{ident}%2F20260301%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Expires=3600&X-Amz-Signature={sig}"
    )
    return Token(text, (sig,), ("acme-data", "X-Amz-Expires=3600"))


def sentry_dsn(rng: random.Random) -> Token:
    """An old Sentry DSN, with its secret."""
    secret = chars(rng, "h32")
    return Token(
        f"https://{chars(rng, 'h32')}:{secret}@sentry.acme.test/{chars(rng, 'd3')}",
        (secret,),
        ("sentry.acme.test",),
    )


def jwt_two(rng: random.Random) -> Token:
    """An unsigned JSON web token."""
    return jwt(rng, 2)


def long_forms() -> list[Form]:
    """The forms with more parts than a prefix and a tail."""
    forms = [
        Form(
            name,
            lambda rng, n=name: url_with_user(rng, n),
            ("DATABASE_URL", "BROKER_URL", "DSN", "UPSTREAM_URL"),
        )
        for name in URL_FORMS
    ]
    named = [
        ("git-remote", git_remote, "GIT_REMOTE"),
        ("mssql-ado", ado, "ConnectionStrings__Default"),
        ("odbc", odbc, "ODBC_DSN"),
        ("jdbc", jdbc, "SPRING_DATASOURCE_URL"),
        ("jdbc-oracle", jdbc_oracle, "JDBC_URL"),
        ("libpq", libpq, "PG_DSN"),
        ("go-mysql-dsn", go_mysql, "MYSQL_DSN"),
        ("azure-storage", azure_storage, "AZURE_STORAGE_CONNECTION_STRING"),
        ("azure-service-bus", azure_bus, "SB_CONNECTION"),
        ("azure-sas", azure_sas, "BACKUP_URL"),
        ("s3-presigned", s3_presigned, "EXPORT_URL"),
        ("sentry-dsn-secret", sentry_dsn, "SENTRY_DSN"),
        ("jwt", jwt, "ID_TOKEN"),
        ("jwt-access", jwt, "ACCESS_JWT"),
        ("jwt-two-parts", jwt_two, "ID_TOKEN"),
        ("supabase-service-jwt", jwt, "SUPABASE_SERVICE_ROLE_KEY"),
    ]
    forms += [Form(name, make, (variable,)) for name, make, variable in named]
    return forms


def pem_forms() -> list[Form]:
    """The private keys in blocks, and the file of a service account."""
    forms = [Form(name, lambda rng, n=name: pem(rng, n), ("PRIVATE_KEY",), bulky=True) for name in PEM_KINDS]
    return [*forms, Form("gcp-service-account", service_account, ("GOOGLE_CREDENTIALS",), bulky=True)]
