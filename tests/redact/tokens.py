"""The public forms of about a hundred providers' tokens.

A pattern is literal text with random parts: `{alphabet:length}` is leak-critical, `<alphabet:length>` is only
an account's or a channel's number. For the alphabets see `model.ALPHABETS`.
No key stands here: every tail is thrown when the corpus is made.
"""

from __future__ import annotations

import base64
import json

from tests.redact.model import Dice, Secret, assemble

# form, pattern, variable names: recognisable by the token itself
BARE = (
    ("github-pat-classic", "ghp_{b:36}", "GITHUB_TOKEN GH_TOKEN GH_PAT"),
    ("github-oauth", "gho_{b:36}", "GITHUB_OAUTH_TOKEN GH_TOKEN"),
    ("github-user-to-server", "ghu_{b:36}", "GITHUB_TOKEN"),
    ("github-server-to-server", "ghs_{b:36}", "GITHUB_TOKEN ACTIONS_TOKEN"),
    ("github-refresh", "ghr_{b:36}", "GITHUB_REFRESH_TOKEN"),
    ("github-pat-fine", "github_pat_{b:22}_{b:59}", "GITHUB_TOKEN REPO_TOKEN"),
    ("gitlab-pat", "glpat-{u:20}", "GITLAB_TOKEN GL_TOKEN"),
    ("gitlab-deploy", "gldt-{u:20}", "GITLAB_DEPLOY_TOKEN"),
    ("gitlab-runner", "glrt-{u:20}", "CI_RUNNER_TOKEN"),
    ("gitlab-pipeline-trigger", "glptt-{h:40}", "TRIGGER_TOKEN"),
    ("gitlab-feed", "glft-{u:20}", "GITLAB_FEED_TOKEN"),
    ("gitlab-oauth-secret", "gloas-{h:64}", "GITLAB_OAUTH_SECRET"),
    ("gitlab-ci-build", "glcbt-64_{u:20}", "CI_JOB_TOKEN"),
    ("aws-access-key-id", "AKIA{t:16}", "AWS_ACCESS_KEY_ID"),
    ("aws-temporary-key-id", "ASIA{t:16}", "AWS_ACCESS_KEY_ID"),
    ("gcp-api-key", "AIza{u:35}", "GOOGLE_API_KEY GEMINI_API_KEY MAPS_API_KEY"),
    ("gcp-oauth-client-secret", "GOCSPX-{u:28}", "GOOGLE_CLIENT_SECRET"),
    ("gcp-oauth-access", "ya29.a0{u:120}", "GOOGLE_ACCESS_TOKEN"),
    ("gcp-refresh", "1//0{u:60}", "GOOGLE_REFRESH_TOKEN"),
    ("azure-client-secret", "{b:3}8Q~{u:34}", "AZURE_CLIENT_SECRET ARM_CLIENT_SECRET"),
    ("azure-devops-pat", "{b:76}AZDO{b:4}", "AZURE_DEVOPS_EXT_PAT AZDO_PAT"),
    ("slack-bot", "xoxb-<d:12>-<d:13>-{b:24}", "SLACK_BOT_TOKEN SLACK_TOKEN"),
    ("slack-user", "xoxp-<d:12>-<d:12>-<d:13>-{h:32}", "SLACK_USER_TOKEN"),
    ("slack-app", "xapp-1-A<A:10>-<d:13>-{h:64}", "SLACK_APP_TOKEN"),
    ("slack-config", "xoxe.xoxp-1-{b:160}", "SLACK_CONFIG_TOKEN"),
    ("slack-legacy", "xoxs-<d:12>-<d:12>-<d:12>-{h:10}", "SLACK_TOKEN"),
    ("slack-refresh", "xoxr-<d:12>-<d:12>-{b:24}", "SLACK_REFRESH_TOKEN"),
    ("slack-webhook", "https://hooks.slack.com/services/T<A:8>/B<A:10>/{b:24}", "SLACK_WEBHOOK_URL"),
    ("discord-bot", "MT{b:24}.G{b:5}.{u:38}", "DISCORD_TOKEN BOT_TOKEN"),
    ("discord-webhook", "https://discord.com/api/webhooks/<d:18>/{u:68}", "DISCORD_WEBHOOK_URL"),
    ("telegram-bot", "<d:10>:AA{u:33}", "TELEGRAM_BOT_TOKEN TG_TOKEN"),
    ("stripe-live", "sk_live_{b:24}", "STRIPE_SECRET_KEY STRIPE_API_KEY"),
    ("stripe-live-long", "sk_live_51{b:97}", "STRIPE_SECRET_KEY"),
    ("stripe-test", "sk_test_51{b:97}", "STRIPE_SECRET_KEY"),
    ("stripe-restricted", "rk_live_{b:24}", "STRIPE_RESTRICTED_KEY"),
    ("stripe-webhook", "whsec_{b:32}", "STRIPE_WEBHOOK_SECRET"),
    ("square-access", "sq0atp-{u:22}", "SQUARE_ACCESS_TOKEN"),
    ("square-secret", "sq0csp-{u:43}", "SQUARE_SECRET"),
    ("square-production", "EAAA{u:60}", "SQUARE_ACCESS_TOKEN"),
    ("braintree-access", "access_token$production$<a:16>${h:32}", "BRAINTREE_ACCESS_TOKEN"),
    ("twilio-api-key", "SK{h:32}", "TWILIO_API_KEY"),
    ("sendgrid", "SG.{u:22}.{u:43}", "SENDGRID_API_KEY"),
    ("mailgun", "key-{h:32}", "MAILGUN_API_KEY"),
    ("mailchimp", "{h:32}-us14", "MAILCHIMP_API_KEY"),
    ("sendinblue", "xkeysib-{h:64}-{b:16}", "BREVO_API_KEY"),
    ("resend", "re_{b:8}_{b:24}", "RESEND_API_KEY"),
    ("openai-legacy", "sk-{b:20}T3BlbkFJ{b:20}", "OPENAI_API_KEY"),
    ("openai-project", "sk-proj-{u:74}T3BlbkFJ{u:74}", "OPENAI_API_KEY"),
    ("openai-service-account", "sk-svcacct-{u:74}T3BlbkFJ{u:74}", "OPENAI_API_KEY"),
    ("openai-admin", "sk-admin-{u:58}T3BlbkFJ{u:58}", "OPENAI_ADMIN_KEY"),
    ("anthropic-api", "sk-ant-api03-{u:93}AA", "ANTHROPIC_API_KEY CLAUDE_API_KEY"),
    ("anthropic-oauth", "sk-ant-oat01-{u:93}AA", "CLAUDE_CODE_OAUTH_TOKEN"),
    ("anthropic-admin", "sk-ant-admin01-{u:93}AA", "ANTHROPIC_ADMIN_KEY"),
    ("groq", "gsk_{b:52}", "GROQ_API_KEY"),
    ("xai", "xai-{b:80}", "XAI_API_KEY"),
    ("perplexity", "pplx-{b:48}", "PERPLEXITY_API_KEY PPLX_API_KEY"),
    ("openrouter", "sk-or-v1-{h:64}", "OPENROUTER_API_KEY"),
    ("huggingface", "hf_{b:34}", "HF_TOKEN HUGGING_FACE_HUB_TOKEN"),
    ("replicate", "r8_{b:37}", "REPLICATE_API_TOKEN"),
    ("fireworks", "fw_{b:24}", "FIREWORKS_API_KEY"),
    ("nvidia", "nvapi-{u:64}", "NVIDIA_API_KEY"),
    ("cerebras", "csk-{a:48}", "CEREBRAS_API_KEY"),
    ("deepseek", "sk-{h:32}", "DEEPSEEK_API_KEY"),
    ("langfuse-secret", "sk-lf-{h:8}-{h:4}-{h:4}-{h:4}-{h:12}", "LANGFUSE_SECRET_KEY"),
    ("langsmith", "lsv2_pt_{h:32}_{h:10}", "LANGSMITH_API_KEY LANGCHAIN_API_KEY"),
    ("tavily", "tvly-dev-{b:32}", "TAVILY_API_KEY"),
    ("pinecone", "pcsk_{b:6}_{b:63}", "PINECONE_API_KEY"),
    ("npm", "npm_{b:36}", "NPM_TOKEN NODE_AUTH_TOKEN"),
    ("pypi", "pypi-AgEIcHlwaS5vcmc{u:150}", "PYPI_TOKEN TWINE_PASSWORD UV_PUBLISH_TOKEN"),
    ("rubygems", "rubygems_{h:48}", "GEM_HOST_API_KEY"),
    ("crates-io", "cio{b:32}", "CARGO_REGISTRY_TOKEN"),
    ("docker-pat", "dckr_pat_{u:27}", "DOCKER_PASSWORD DOCKERHUB_TOKEN"),
    ("docker-oat", "dckr_oat_{u:32}", "DOCKERHUB_TOKEN"),
    ("nuget", "oy2{a:43}", "NUGET_API_KEY"),
    ("terraform-cloud", "{b:14}.atlasv1.{u:67}", "TFE_TOKEN TF_TOKEN"),
    ("vault-service", "hvs.{u:95}", "VAULT_TOKEN"),
    ("vault-batch", "hvb.{u:140}", "VAULT_TOKEN"),
    ("doppler-personal", "dp.pt.{b:43}", "DOPPLER_TOKEN"),
    ("doppler-service", "dp.st.prd.{b:43}", "DOPPLER_TOKEN"),
    ("onepassword-service", "ops_eyJ{u:250}", "OP_SERVICE_ACCOUNT_TOKEN"),
    ("databricks", "dapi{h:32}", "DATABRICKS_TOKEN"),
    ("supabase-pat", "sbp_{h:40}", "SUPABASE_ACCESS_TOKEN"),
    ("supabase-secret", "sb_secret_{u:31}", "SUPABASE_SECRET_KEY"),
    ("planetscale-token", "pscale_tkn_{u:43}", "PLANETSCALE_TOKEN"),
    ("planetscale-password", "pscale_pw_{u:43}", "PLANETSCALE_PASSWORD DATABASE_PASSWORD"),
    ("neon", "napi_{a:64}", "NEON_API_KEY"),
    ("fly", "FlyV1 fm2_{B:160}", "FLY_API_TOKEN"),
    ("heroku", "HRKU-AA{u:58}", "HEROKU_API_KEY"),
    ("netlify", "nfp_{b:36}", "NETLIFY_AUTH_TOKEN"),
    ("digitalocean-pat", "dop_v1_{h:64}", "DIGITALOCEAN_TOKEN DO_TOKEN"),
    ("digitalocean-oauth", "doo_v1_{h:64}", "DO_OAUTH_TOKEN"),
    ("digitalocean-refresh", "dor_v1_{h:64}", "DO_REFRESH_TOKEN"),
    ("render", "rnd_{b:32}", "RENDER_API_KEY"),
    ("shopify-admin", "shpat_{h:32}", "SHOPIFY_ACCESS_TOKEN"),
    ("shopify-secret", "shpss_{h:32}", "SHOPIFY_API_SECRET"),
    ("shopify-custom", "shpca_{h:32}", "SHOPIFY_ACCESS_TOKEN"),
    ("atlassian", "ATATT3xFfGF0{u:172}={H:8}", "JIRA_API_TOKEN ATLASSIAN_TOKEN CONFLUENCE_TOKEN"),
    ("bitbucket-app", "ATBB{b:32}", "BITBUCKET_APP_PASSWORD"),
    ("linear", "lin_api_{b:40}", "LINEAR_API_KEY"),
    ("notion", "ntn_{d:11}{b:35}", "NOTION_TOKEN NOTION_API_KEY"),
    ("notion-old", "secret_{b:43}", "NOTION_TOKEN"),
    ("figma", "figd_{u:40}", "FIGMA_TOKEN"),
    ("postman", "PMAK-{h:24}-{h:34}", "POSTMAN_API_KEY"),
    ("airtable", "pat<b:14>.{h:64}", "AIRTABLE_API_KEY AIRTABLE_PAT"),
    ("asana", "2/<d:16>/<d:16>:{h:32}", "ASANA_ACCESS_TOKEN"),
    ("dropbox", "sl.u.{u:130}", "DROPBOX_ACCESS_TOKEN"),
    ("sentry-org", "sntrys_eyJ{u:90}_{B:43}", "SENTRY_AUTH_TOKEN"),
    ("sentry-user", "sntryu_{h:64}", "SENTRY_AUTH_TOKEN"),
    ("grafana-service", "glsa_{b:32}_{h:8}", "GRAFANA_TOKEN GRAFANA_API_KEY"),
    ("grafana-cloud", "glc_eyJ{b:80}", "GRAFANA_CLOUD_TOKEN"),
    ("newrelic-user", "NRAK-{A:27}", "NEW_RELIC_API_KEY"),
    ("newrelic-insights", "NRII-{u:32}", "NEW_RELIC_INSERT_KEY"),
    ("facebook", "EAAC{b:120}ZD", "FB_ACCESS_TOKEN FACEBOOK_TOKEN"),
    ("twitter-bearer", "AAAAAAAAAAAAAAAAAAAAA{b:8}AAAA%2B{b:45}%3D{b:30}", "TWITTER_BEARER_TOKEN"),
    ("mapbox-secret", "sk.eyJ{b:80}.{u:22}", "MAPBOX_SECRET_TOKEN"),
    ("tailscale-auth", "tskey-auth-{b:12}CNTRL-{b:32}", "TS_AUTHKEY"),
    ("tailscale-api", "tskey-api-{b:12}CNTRL-{b:32}", "TAILSCALE_API_KEY"),
    ("age-secret", "AGE-SECRET-KEY-1{Z:58}", "SOPS_AGE_KEY"),
    ("contentful", "CFPAT-{u:43}", "CONTENTFUL_MANAGEMENT_TOKEN"),
    ("pulumi", "pul-{h:40}", "PULUMI_ACCESS_TOKEN"),
    ("artifactory", "AKCp{b:69}", "ARTIFACTORY_API_KEY JFROG_API_KEY"),
    ("sonarqube", "squ_{h:40}", "SONAR_TOKEN"),
    ("dynatrace", "dt0c01.{t:24}.{t:64}", "DYNATRACE_TOKEN"),
    ("buildkite", "bkua_{h:40}", "BUILDKITE_TOKEN"),
    ("circleci", "CCIPAT_{b:22}_{h:40}", "CIRCLECI_TOKEN"),
    ("hubspot", "pat-na1-{h:8}-{h:4}-{h:4}-{h:4}-{h:12}", "HUBSPOT_TOKEN"),
    ("flutterwave", "FLWSECK-{h:32}-X", "FLW_SECRET_KEY"),
    ("typeform", "tfp_{u:44}_{b:14}", "TYPEFORM_TOKEN"),
    ("readme-io", "rdme_{a:70}", "README_API_KEY"),
    ("prefect", "pnu_{b:36}", "PREFECT_API_KEY"),
    ("posthog-personal", "phx_{b:43}", "POSTHOG_PERSONAL_API_KEY"),
    ("telegram-url", "https://api.telegram.org/bot<d:10>:AA{u:33}/sendMessage", "NOTIFY_URL"),
    (
        "teams-webhook",
        (
            "https://«word».webhook.office.com/webhookb2/<h:8>-<h:4>-<h:4>-<h:4>-<h:12>@<h:8>-<h:4>-<h:4>-<h:4>-"
            "<h:12>/IncomingWebhook/{h:32}/{h:8}-{h:4}-{h:4}-{h:4}-{h:12}"
        ),
        "TEAMS_WEBHOOK_URL",
    ),
    (
        "azure-sas",
        "https://«word».blob.core.windows.net/«word2»?sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2027-01-01T00:00:00Z&sig={b:43}%3D",
        "BLOB_SAS_URL STORAGE_URL",
    ),
    (
        "azure-storage",
        "DefaultEndpointsProtocol=https;AccountName=«word»;AccountKey={B:86}==;EndpointSuffix=core.windows.net",
        "AZURE_STORAGE_CONNECTION_STRING",
    ),
    (
        "azure-servicebus",
        "Endpoint=sb://«word».servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={B:43}=",
        "SERVICEBUS_CONNECTION_STRING",
    ),
    (
        "aws-presigned",
        "https://«word».s3.amazonaws.com/«word2».zip?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature={h:64}",
        "DOWNLOAD_URL",
    ),
)

# form, pattern, variable names: opaque values known by the name beside them
NAMED = (
    ("aws-secret-key", "{B:40}", "AWS_SECRET_ACCESS_KEY"),
    ("aws-session-token", "IQoJb3JpZ2luX2Vj{B:240}==", "AWS_SESSION_TOKEN"),
    ("twilio-auth-token", "{h:32}", "TWILIO_AUTH_TOKEN"),
    ("paypal-secret", "E{u:79}", "PAYPAL_CLIENT_SECRET PAYPAL_SECRET"),
    ("cohere", "{b:40}", "COHERE_API_KEY CO_API_KEY"),
    ("mistral", "{b:32}", "MISTRAL_API_KEY"),
    ("together", "{h:64}", "TOGETHER_API_KEY"),
    ("azure-openai", "{h:32}", "AZURE_OPENAI_API_KEY"),
    ("wandb", "{h:40}", "WANDB_API_KEY"),
    ("elevenlabs", "{h:32}", "ELEVENLABS_API_KEY"),
    ("vault-legacy", "s.{b:24}", "VAULT_TOKEN"),
    ("snowflake", "{u:44}", "SNOWFLAKE_PASSWORD SNOWFLAKE_TOKEN"),
    ("vercel", "{b:24}", "VERCEL_TOKEN"),
    ("cloudflare-token", "{u:40}", "CLOUDFLARE_API_TOKEN CF_API_TOKEN"),
    ("cloudflare-key", "{h:37}", "CLOUDFLARE_API_KEY"),
    ("linode", "{h:64}", "LINODE_TOKEN LINODE_CLI_TOKEN"),
    ("hetzner", "{b:64}", "HCLOUD_TOKEN"),
    ("datadog-api", "{h:32}", "DD_API_KEY DATADOG_API_KEY"),
    ("datadog-app", "{h:40}", "DD_APP_KEY DATADOG_APP_KEY"),
    ("pagerduty", "u+{u:18}", "PAGERDUTY_API_KEY PAGERDUTY_TOKEN"),
    ("ngrok", "2{b:26}_{b:21}", "NGROK_AUTHTOKEN NGROK_AUTH_TOKEN"),
    ("algolia-admin", "{h:32}", "ALGOLIA_ADMIN_KEY ALGOLIA_API_KEY"),
    ("heroku-uuid", "{h:8}-{h:4}-{h:4}-{h:4}-{h:12}", "HEROKU_API_KEY"),
    ("travis", "{b:22}", "TRAVIS_TOKEN"),
    ("codecov", "{h:8}-{h:4}-{h:4}-{h:4}-{h:12}", "CODECOV_TOKEN"),
    ("spotify", "{h:32}", "SPOTIFY_CLIENT_SECRET"),
    ("auth0", "{u:64}", "AUTH0_CLIENT_SECRET"),
    ("okta", "00{u:40}", "OKTA_API_TOKEN"),
    ("zendesk", "{b:40}", "ZENDESK_API_TOKEN"),
    ("twitter-secret", "{b:50}", "TWITTER_API_SECRET TWITTER_CONSUMER_SECRET"),
)

JWTS = (
    ("jwt-hs256", "HS256", 43, "ACCESS_TOKEN ID_TOKEN SESSION_JWT"),
    ("jwt-rs256", "RS256", 342, "ID_TOKEN SERVICE_JWT"),
    ("jwt-es256", "ES256", 86, "PUSH_JWT ACCESS_TOKEN"),
    ("jwt-supabase-role", "HS256", 43, "SUPABASE_SERVICE_ROLE_KEY"),
    ("jwt-two-parts", "none", 0, "PARTIAL_JWT ACCESS_TOKEN"),
)
HOST_WORDS = ("acmedata", "bluefin", "northsea", "lakeside", "redbarn", "oakline", "skylark", "tidewater")


def makers():
    """Pairs of a form's name and a function that throws one secret of that form."""
    rows = [(*row, True) for row in BARE] + [(*row, False) for row in NAMED]
    made = [(form, _maker(form, pattern, names, bare)) for form, pattern, names, bare in rows]
    return made + [(form, _jwt(form, *rest)) for form, *rest in JWTS]


def _maker(form: str, pattern: str, names: str, bare: bool):
    def make(look: Dice, key: Dice) -> Secret:
        first, second = look.sample(HOST_WORDS, 2)
        text, cores = assemble(pattern.replace("«word»", first).replace("«word2»", second), key)
        return Secret(form, text, cores, tuple(names.split()), bare)

    return make


def _jwt(form: str, algorithm: str, signature_length: int, names: str):
    """JSON Web Tokens with a readable header and claims, as an authorisation server signs them."""

    def make(look: Dice, key: Dice) -> Secret:
        header = {"alg": algorithm, "typ": "JWT"}
        if look.random() < 0.5:
            header["kid"] = look.text("h", 16)
        claims = {
            "iss": f"https://{look.host()}/",
            "iat": 1_700_000_000 + look.randrange(90_000_000),
            "scope": look.pick(("openid profile", "read write", "admin")),
            "sub": key.text("b", look.randint(24, 60)),
        }
        parts = [_b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
        cores = [parts[1][_claims_start(claims) : -4]]
        if signature_length:
            parts.append(key.text("u", signature_length))
            cores.append(parts[2])
        return Secret(form, ".".join(parts), tuple(cores), tuple(names.split()))

    return make


def _claims_start(claims: dict) -> int:
    """Where the encoded claims stop being guessable: at the subject, the last of them."""
    lead = json.dumps(claims | {"sub": ""}, separators=(",", ":"))[:-2]
    return (len(lead) // 3 + 1) * 4


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
