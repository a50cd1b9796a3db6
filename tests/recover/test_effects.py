"""Which tool calls left the machine or changed files, by what they say and how they went."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.recover import deeds
from holdfast.recover.effects import Call, effects
from tests.conftest import SHARED_DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = SHARED_DATA / "public-transcripts"


def of(
    command: str, status: str | None = "completed", code: int | None = 0, output: str = "", tool: str = "Bash"
):
    call = Call(id="c1", tool=tool, input=command, status=status, exit_code=code, output=output)
    return effects([call])


def kinds(*args, **more) -> list[str]:
    return [effect.kind if effect.certainty == "done" else f"{effect.kind}?" for effect in of(*args, **more)]


# ── what a command does, and what only looks like it ──

DOES = {
    # git
    "git commit -m 'fix: it'": [("commit", "fix: it")],
    "git commit -am fix": [("commit", "fix")],
    "git commit --amend --no-edit": [("commit", "commit (amended)")],
    "git -C /home/user/a -c user.name=x commit -qm 'one\n\ntwo'": [("commit", "one")],
    "git commit -m \"$(cat <<'EOF'\nIt's done (really)\n\nmore; rm -rf /\nEOF\n)\"": [
        ("commit", "It's done (really)")
    ],
    "git push": [("push", "push")],
    "git push -u origin feature/x": [("push", "push origin feature/x")],
    "git push --force-with-lease origin main": [("push", "push origin main --force-with-lease")],
    "git tag v1.0 -m 'one point nought'": [("tag", "v1.0")],
    "git tag -d v1.0": [("tag", "removed v1.0")],
    "git merge origin/main": [("merge", "merge origin/main")],
    "git cherry-pick abc1234": [("merge", "cherry-pick abc1234")],
    "git pull --rebase": [("merge", "pull --rebase")],
    "git rebase -i main": [("rebase", "rebase -i main")],
    "git reset --hard HEAD~1": [("reset", "reset --hard HEAD~1")],
    "git stash": [("stash", "stash")],
    "git stash pop": [("stash", "stash pop")],
    "git checkout -- a.py b.py": [("discard", "checkout -- a.py b.py")],
    "git restore .": [("discard", "restore .")],
    "git clean -fdx": [("discard", "clean -fdx")],
    "git branch -D old": [("branch", "branch -D old")],
    "git worktree remove ../other": [("branch", "worktree remove ../other")],
    "git rm a.py": [("delete", "a.py")],
    # forges
    "gh pr create --title 'Add it' --body b": [("pull_request", "gh pr create: Add it")],
    "gh -R o/r issue create -t Broken": [("issue", "gh issue create: Broken")],
    "gh release create v1 dist/*": [("release", "gh release create v1 dist/*")],
    "gh pr merge 12 --squash": [("forge", "gh pr merge 12")],
    "gh api -X POST repos/o/r/issues -f title=x": [("forge", "gh api POST repos/o/r/issues")],
    "gh api repos/o/r/issues/1/comments -f body=x": [("forge", "gh api POST repos/o/r/issues/1/comments")],
    "gh api graphql -f query='mutation { x }'": [("forge", "gh api POST graphql")],
    "glab mr create -t T": [("pull_request", "glab mr create: T")],
    "hub pull-request -m x": [("pull_request", "hub pull-request -m x")],
    "hub push origin x": [("push", "push origin x")],
    # packages and images
    "npm publish --access public": [("publish", "npm publish --access public")],
    "yarn npm publish": [("publish", "yarn npm publish")],
    "pnpm --filter a publish": [("publish", "pnpm --filter a publish")],
    "twine upload dist/*": [("publish", "twine upload dist/*")],
    "python3 -m twine upload dist/*": [("publish", "twine upload dist/*")],
    "uv publish": [("publish", "uv publish")],
    "poetry publish --build": [("publish", "poetry publish --build")],
    "hatch publish": [("publish", "hatch publish")],
    "flit publish": [("publish", "flit publish")],
    "cargo publish": [("publish", "cargo publish")],
    "gem push a.gem": [("publish", "gem push a.gem")],
    "docker push a/b:1": [("publish", "docker push a/b:1")],
    "docker buildx build -t a/b --push .": [("publish", "docker buildx build -t a/b --push .")],
    "npm install left-pad": [("install", "npm install left-pad")],
    "python3.12 -m pip install x": [("install", "pip install x")],
    "sudo apt-get install -y jq": [("install", "apt-get install -y jq")],
    "go get example.com/x": [("install", "go get example.com/x")],
    # HTTP
    "curl -X POST https://me:pw@example.com/a?b=c": [("http", "POST https://example.com/a")],
    "curl -sSfXDELETE https://example.com/a": [("http", "DELETE https://example.com/a")],
    "curl https://example.com/a -d x=1": [("http", "POST https://example.com/a")],
    "curl -s --json '{}' https://example.com/a": [("http", "POST https://example.com/a")],
    "curl -H 'A: b' -F file=@x https://example.com/a": [("http", "POST https://example.com/a")],
    "curl -T x.tar https://example.com/a": [("http", "PUT https://example.com/a")],
    "curl -X GET -d q=1 -o page.html https://example.com/a": [("write", "page.html")],
    "wget --post-data=a https://example.com/a": [("http", "POST https://example.com/a")],
    "wget --method=PUT https://example.com/a": [("http", "PUT https://example.com/a")],
    "http POST example.com/a x=1": [("http", "POST example.com/a")],
    "http example.com/a x=1": [("http", "POST example.com/a")],
    # elsewhere
    "kubectl -n prod apply -f a.yaml": [("deploy", "kubectl -n prod apply -f a.yaml")],
    "kubectl rollout restart deploy/a": [("deploy", "kubectl rollout restart deploy/a")],
    "terraform apply -auto-approve": [("deploy", "terraform apply -auto-approve")],
    "helm upgrade --install a b": [("deploy", "helm upgrade --install a b")],
    "aws s3 cp a s3://b/c": [("deploy", "aws s3 cp a s3://b/c")],
    "aws --region x ec2 terminate-instances --instance-ids i": [("deploy", "aws ec2 terminate-instances i")],
    "gcloud run deploy a": [("deploy", "gcloud run deploy a")],
    "az group delete --name x": [("deploy", "az group delete")],
    "ansible-playbook site.yml": [("deploy", "ansible-playbook site.yml")],
    "ssh deploy@host 'systemctl restart a'": [("remote", "deploy@host: systemctl restart a")],
    "scp -i key a.tar host:/srv": [("remote", "scp a.tar host:/srv")],
    "rsync -az --delete dist/ me@host:/srv": [("remote", "rsync dist/ me@host:/srv")],
    "rsync -a me@host:/srv/ here/": [("write", "here/")],
    "psql -h db -c 'UPDATE a SET b = 1'": [("database", "psql: UPDATE a SET b = 1")],
    "psql <<SQL\n-- drop it\nDROP TABLE a;\nSQL": [("database", "psql: -- drop it DROP TABLE a;")],
    "mysql -e 'delete from a'": [("database", "mysql: delete from a")],
    'sqlite3 a.db "insert into a values (1)"': [("database", "sqlite3 a.db: insert into a values (1)")],
    "redis-cli -n 1 FLUSHDB": [("database", "redis-cli FLUSHDB")],
    "alembic upgrade head": [("database", "alembic upgrade head")],
    "python manage.py migrate": [("database", "python manage.py migrate")],
    "mail -s hello me@example.com": [("mail", "to me@example.com")],
    "git send-email a.patch": [("mail", "git send-email a.patch")],
    # this machine
    "kill -9 123": [("kill", "kill -9 123")],
    "pkill -f server": [("kill", "pkill -f server")],
    "rm -rf build": [("delete", "build")],
    "/bin/rm build": [("delete", "build")],
    "find . -name '*.pyc' -delete": [("delete", "find . -name *.pyc -delete")],
    "find . -exec rm {} \\;": [("delete", "find . -exec rm {} ;")],
    "mv a b": [("move", "a b")],
    "cp -r a b": [("write", "b")],
    "sed -i 's/a/b/' x.py": [("write", "x.py")],
    "perl -pi -e 's/a/b/' x.py": [("write", "x.py")],
    "echo x > a.txt": [("write", "a.txt")],
    "cat <<'EOF' >> a.txt\ngit push\nEOF": [("write", "a.txt")],
    "systemctl restart a": [("service", "systemctl restart a")],
    "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a\n+x\n*** Delete File: b\n*** End Patch\nEOF": [
        ("write", "a"),
        ("delete", "b"),
    ],
    # programs that run programs
    "sudo -u me rm x": [("delete", "x")],
    "env A=1 B=2 git push": [("push", "push")],
    "A=1 git push": [("push", "push")],
    "bash -lc 'cd a && git push'": [("push", "push")],
    "sh <<'E'\ngit push\nE": [("push", "push")],
    'eval "git push"': [("push", "push")],
    "timeout -k 5 60 git push": [("push", "push")],
    "nohup nice -n 5 npm publish": [("publish", "npm publish")],
    "uv run twine upload dist/*": [("publish", "twine upload dist/*")],
    "npx vercel deploy": [("deploy", "vercel deploy")],
    "ls | xargs -n 1 rm -f": [("delete", "…")],
    "ls | xargs -I {} rm {}": [("delete", "{}")],
    "time git push": [("push", "push")],
    "cd /home/user/a && git push origin main": [("push", "push origin main")],
    "(cd a && git push)": [("push", "push")],
    "{ git push; }": [("push", "push")],
    "\\\ngit push # now": [("push", "push")],
    "URL=$(gh pr create -t x)": [("pull_request", "gh pr create: x")],
    "git push 2>&1": [("push", "push")],
    "git\\\n  push": [("push", "push")],
}

LOOKS_LIKE = [
    "",
    "echo git push",
    "echo 'rm -rf /'",
    "# git push",
    "ls # ; git push",
    "grep -rn 'git push' .",
    "man git-push",
    "git push --dry-run",
    "git push -n origin main",
    "git status; git log --oneline",
    "git commit --dry-run",
    "git tag",
    "git tag -l 'v*'",
    "git tag --contains abc",
    "git stash list",
    "git stash show -p",
    "git branch --show-current",
    "git branch -a",
    "git checkout main",
    "git reset a.py",
    "git restore --staged a.py",
    "git clean -nd",
    "git merge-base main HEAD",
    "git worktree list",
    "git diff > /dev/null",
    "git apply --check a.patch",
    "git help push",
    "gh pr view 1 --json title",
    "gh pr list --head x",
    "gh pr create --web",
    "gh pr create --dry-run",
    "gh api repos/o/r/pulls",
    "gh api graphql -f query='{ viewer { login } }'",
    "gh api -X GET search/issues -f q=x",
    "npm publish --dry-run",
    "npm run build",
    "npm test",
    "pip list",
    "cargo build",
    "cargo publish --dry-run",
    "docker build -t x .",
    "docker ps",
    "uv run pytest",
    "curl https://example.com",
    "curl -I -X HEAD https://example.com",
    "curl -G -d q=1 https://example.com",
    "curl -H 'X-Method: POST' https://example.com/POST",
    "wget -q https://example.com/a",
    "http GET example.com q==1",
    "http example.com/a",
    "kubectl get pods",
    "kubectl apply --dry-run=client -f a.yaml",
    "kubectl rollout status deploy/a",
    "terraform plan",
    "helm list",
    "helm template a b",
    "aws s3 ls s3://b",
    "aws ec2 describe-instances",
    "gcloud config set project x",
    "gcloud run services list",
    "az account show",
    "ansible-playbook --check site.yml",
    "ssh -T git@github.com",
    "ssh-keygen -l -f key",
    "rsync -n a/ host:b/",
    "psql -c 'select * from updates'",
    "psql -c \"select 'drop table a'\"",
    "sqlite3 a.db '.tables'",
    "sqlite3 a.db 'select created, updated from deleted'",
    "redis-cli get a",
    "kill -0 123",
    "kill -l",
    "sed -n 's/a/b/p' x.py",
    "sed 's/a/b/' x.py",
    "find . -name '*.py'",
    "perl -ne 'print' x",
    "python -c 'print(1)'",
    "python - <<'E'\nimport json\nprint(json.load(open('x')))\nE",
    "cat <<'EOF'\nrm -rf x\nEOF",
    "cat <<EOF\ngit push\nEOF",
    "ls > /dev/null 2>&1",
    "ls 2>/dev/null",
    "command -v git push",
    "which git && type rm",
    "[[ -f a && -f rm ]]",
    "[ -d rm ]",
    "for rm in a b; do echo $rm; done",
    "case push in rm) ;; esac",
    "echo $((1 > 2))",
    "python script.py --help",
    "systemctl status a",
    "make test",
    "terraform --help",
]


@pytest.mark.parametrize(("command", "expected"), DOES.items())
def test_what_a_command_does_is_read_from_its_words(command, expected):
    assert [(effect.kind, effect.what) for effect in of(command)] == expected
    assert {effect.certainty for effect in of(command)} == {"done"}


@pytest.mark.parametrize("command", LOOKS_LIKE)
def test_what_only_looks_like_an_effect_is_none(command):
    assert of(command) == []
    assert of(command, None, None) == []


def test_every_kind_is_told_apart_by_a_case():
    """But those which no shell command gives for certain."""
    assert {kind for case in DOES.values() for kind, _ in case} == set(deeds.KINDS) - {"code", "mcp"}
    assert set(deeds.KINDS) > deeds.LEAVES


# ── how it went ──

FAILED, CUT = ("failed", 1), ("interrupted", None)
WENT = [
    # a simple command
    ("git push", ("completed", 0), ["push"]),
    ("git push", ("completed", None), ["push"]),
    ("git push", FAILED, []),
    ("git push", CUT, ["push?"]),
    ("git push", (None, None), ["push?"]),
    ("git push", ("running", None), ["push?"]),
    ("git push", ("cancelled", None), []),
    ("git push", ("failed", 143), ["push?"]),  # a signal ended it
    ("rm -r a b", FAILED, ["delete?"]),  # it may have removed one
    ("terraform apply", FAILED, ["deploy?"]),
    ("git merge x", FAILED, ["merge?"]),  # conflicts stay in the files
    # and-lists
    ("git commit -m x && git push", ("completed", 0), ["commit", "push"]),
    ("git commit -m x && git push", FAILED, ["commit?"]),  # the last part did not succeed, or the whole had
    ("git commit -m x && git push", CUT, ["commit?", "push?"]),
    ("git commit -m x && pytest", FAILED, ["commit?"]),
    ("cd a && git push", FAILED, []),
    # sequences
    ("git commit -m x; git push", ("completed", 0), ["commit?", "push"]),
    ("git commit -m x; git push", FAILED, ["commit?"]),
    ("git commit -m x\ngit push", ("completed", 0), ["commit?", "push"]),
    ("set -e\ngit commit -m x\ngit push", ("completed", 0), ["commit", "push"]),
    ("git push; git status", FAILED, ["push?"]),
    # or-lists
    ("git push || true", ("completed", 0), ["push?"]),
    ("git push || echo no", ("completed", 0), ["push?"]),
    ("git push || exit 1", ("completed", 0), ["push"]),
    ("git push || git push -f", ("completed", 0), ["push?", "push?"]),
    ("git push || git push -f", FAILED, []),
    ("git diff --quiet || git commit -am x", ("completed", 0), ["commit?"]),
    # pipelines
    ("git push 2>&1 | tail -5", ("completed", 0), ["push?"]),
    ("set -o pipefail; git push 2>&1 | tail -5", ("completed", 0), ["push"]),
    ("echo x | tee a.txt", ("completed", 0), ["write"]),
    ("git push | tail", FAILED, ["push?"]),
    # what may run, or not
    ("if x; then git push; fi", ("completed", 0), ["push?"]),
    ("for x in a b; do git push $x; done", ("completed", 0), ["push?"]),
    ("case x in a) git push;; esac", ("completed", 0), ["push?"]),
    ("f() { git push; }\nf", ("completed", 0), ["push?"]),
    ("! git push", ("completed", 0), ["push?"]),
    ("git push &", ("completed", 0), ["push?"]),
    ("echo $(git push)", ("completed", 0), ["push?"]),
    ("(git push) && ls", ("completed", 0), ["push"]),
    ("bash -c 'git push; ls'", ("completed", 0), ["push?"]),
    ("watch git push", ("completed", 0), ["push?"]),
    # redirections empty the file whatever the command does
    ("make > log.txt", FAILED, ["write?"]),
    # what the arguments do not say
    ("make deploy", ("completed", 0), ["deploy?"]),
    ("./scripts/release.sh 1.0", ("completed", 0), ["deploy?"]),
    ("npm run deploy", ("completed", 0), ["deploy?"]),
    ("psql -f a.sql", ("completed", 0), ["database?"]),
    ("python -c \"import shutil; shutil.rmtree('x')\"", ("completed", 0), ["code?"]),
    ("python3 <<'E'\nopen('x', 'w').write('a')\nE", ("completed", 0), ["code?"]),
    # of which the end is not there
    ("git commit -m x && git push && ech…", ("completed", 0), ["commit?", "push?"]),
    ("git commit -m x && git push && ech…", FAILED, ["commit?", "push?"]),
]


@pytest.mark.parametrize(("command", "went", "expected"), WENT)
def test_how_a_call_went_tells_what_was_done(command, went, expected):
    assert kinds(command, *went) == expected


PUSHED = "To github.com:o/r.git\n   1234567..89abcde  main -> main\n"


def test_what_the_output_says_decides_where_the_exit_code_does_not():
    committed = "[main 1234567] fix\n 1 file changed\n"
    assert kinds("git push 2>&1 | tail -3", output=PUSHED) == ["push"]
    assert kinds("git commit -m x && git push", *FAILED, output=committed) == ["commit"]
    assert kinds("git commit -m x && git push", *FAILED, output=committed + PUSHED) == ["commit", "push"]
    assert kinds("git commit -m x && git push", *CUT, output=committed) == ["commit", "push?"]
    assert kinds("git commit -m x; ls", output="nothing to commit, working tree clean\n") == []
    assert kinds("git push", output="Everything up-to-date\n") == []
    assert kinds("gh pr create -t x | cat", output="https://github.com/o/r/pull/7\n") == ["pull_request"]
    assert kinds("git push a; git push b", output=PUSHED) == [
        "push?",
        "push",
    ]  # whose line it is, nobody says
    assert kinds("git commit -m x || true", output="the [main 1234567] line\n") == ["commit?"]


def test_a_call_that_goes_on_in_the_background_did_not_end():
    assert kinds("git push", output="Command running in background with ID: b1") == ["push?"]
    output = "Chunk ID: a\nWall time: 1.0 seconds\nProcess running with session ID 5\n"
    assert kinds("git push", "completed", None, output, "exec_command") == ["push?"]


def test_a_deed_that_stands_twice_in_a_call_is_told_once():
    assert kinds("rm a && rm a") == ["delete"]


# ── other tools ──


def test_file_tools_and_patches_change_the_files_they_name():
    patch = (
        "*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@\n*** Delete File: c.py\n*** End Patch"
    )
    calls = [
        Call(id="1", tool="Write", agent="a1", path="/home/user/x.py", status="completed", time_us=7),
        Call(id="2", tool="Edit", path="/home/user/x.py", status="failed"),
        Call(id="3", tool="MultiEdit", path="/home/user/y.py", status=None),
        Call(id="4", tool="NotebookEdit", path="/home/user/n.ipynb", status="completed"),
        Call(id="5", tool="Read", path="/home/user/x.py", status="completed"),
        Call(id="6", tool="apply_patch", input=patch, status="completed"),
        Call(id="7", tool="apply_patch", input=patch, status="failed"),
        Call(id="8", tool="Write", status="completed"),
    ]
    found = effects(calls)
    assert [(e.call, e.kind, e.what, e.certainty) for e in found] == [
        ("1", "write", "written: /home/user/x.py", "done"),
        ("3", "write", "edited: /home/user/y.py", "possibly"),
        ("4", "write", "edited: /home/user/n.ipynb", "done"),
        ("6", "write", "a.py", "done"),
        ("6", "move", "b.py", "done"),
        ("6", "delete", "c.py", "done"),
    ]
    assert (found[0].agent, found[0].time_us, found[0].leaves) == ("a1", 7, False)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("mcp__linear-server__create_issue", ["mcp?"]),
        ("mcp__linear-server__list_issues", []),
        ("mcp__github__addIssueComment", ["mcp?"]),
        ("mcp__slack.send_message", ["mcp?"]),
        ("mcp__create__get", []),
        ("WebFetch", []),
    ],
)
def test_a_tool_of_a_server_whose_name_says_that_it_writes_may_have(tool, expected):
    assert kinds("{}", tool=tool) == expected
    assert kinds("{}", "cancelled", None, tool=tool) == []


# ── whatever comes ──

PIECES = st.sampled_from(
    re.split(
        r"\|(?!\|)",
        "git push|rm -rf a|bash -c '|\"|'|`|$(|)|((|))|${|}|{|<<E\n|E\n|<<<|>|>>|2>&1|&|&&|\\||;;|;|\n|\\|#|if|then|fi|for|in|do|done|while"
        "|case|esac|function|f()|!|[[|]]|sudo|env|xargs|--|-c|curl -d|-X|$'|\0|\ud800|…|a=(|psql -c|eval|sh|set -e|<(|time",
    )
)


@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(PIECES, max_size=40).map(" ".join),
        st.lists(PIECES, max_size=40).map("".join),
    ),
    st.sampled_from(["completed", "failed", None, "interrupted", "cancelled"]),
    st.sampled_from(["Bash", "apply_patch", "Write", "mcp__a__create", ""]),
)
def test_no_input_raises(text, status, tool):
    for effect in effects([Call(id="1", tool=tool, input=text, path=text, status=status, output=text)]):
        assert effect.kind in deeds.KINDS
        assert effect.certainty in {"done", "possibly"}
        assert len(effect.what) <= 220 + len(text)


@pytest.mark.parametrize(
    "piece", ["$(", "(", "{ ", "if ", "`", "<<E\n", "'", '"$(', "case x in ", "a && ", 'bash -c "', "eval "]
)
def test_what_is_nested_without_end_is_given_up(piece):
    assert isinstance(of(piece * 20_000 + "git push"), list)


# How many different commands of other people's sessions have an effect of each kind, by reading them.
PUBLIC_KINDS = {
    "branch": 3,
    "commit": 42,
    "delete": 16,
    "discard": 2,
    "forge": 12,
    "install": 2,
    "merge": 2,
    "pull_request": 4,
    "push": 16,
    "rebase": 7,
    "reset": 3,
    "stash": 6,
    "write": 23,
}
SEARCHED = {
    "commit": re.compile(r"(?:^|&& |\n)git (?:-C \S+ )?commit\b(?! --dry-run)"),
    "pull_request": re.compile(r"(?:^|&& |\n)gh pr create\b"),
    "push": re.compile(r"(?:^|&& |\n)git (?:-C \S+ )?push\b"),
    "rebase": re.compile(r"(?:^|&& |\n)(?:\w+=\S+ )*git (?:-C \S+ )?rebase\b"),
}


@pytest.mark.needs_shared
def test_the_commands_of_public_transcripts_are_understood():
    """And of some kinds a plain search finds the same ones."""
    commands = sorted(set(public_commands()))
    assert len(commands) == 663
    found: dict[str, set[str]] = {}
    for command in commands:
        for effect in of(command):
            found.setdefault(effect.kind, set()).add(command)
    assert {kind: len(those) for kind, those in found.items()} == PUBLIC_KINDS
    for kind, words in SEARCHED.items():
        assert found[kind] == {command for command in commands if words.search(command)}


def public_commands() -> Iterator[str]:
    for path in PUBLIC.rglob("*.jsonl"):
        for line in path.read_text("utf-8", "replace").splitlines():
            if '"Bash"' not in line:
                continue
            try:
                content = json.loads(line)["message"]["content"]
            except (ValueError, KeyError, TypeError):
                continue
            for block in content if isinstance(content, list) else []:
                if (
                    isinstance(block, dict)
                    and block.get("name") == "Bash"
                    and isinstance(block["input"].get("command"), str)
                ):
                    yield block["input"]["command"]
