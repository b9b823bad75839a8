#!/bin/sh
# Tells a function of each push to this git repository. Made by `casemate hooks git`.
#
# 1. Save it as hooks/post-receive of the repository on the server, and make it executable.
# 2. Put the secret into a file casemate.key beside it that only the repository's user can read.
# 3. Try it: hooks/post-receive ping
#
# It needs sh, curl, openssl, od, sed, tr and date. The secret is never an argument of a program.

set -u
url=@URL@
repository=@REPOSITORY@
authority=@AUTHORITY@
folder=$(dirname "$0")
key_file=${CASEMATE_HOOK_KEY:-$folder/casemate.key}

fail() {
    printf 'casemate: %s\n' "$1" >&2
    exit 1
}

read_key() {
    [ -r "$key_file" ] || fail "there is no readable file $key_file with the secret"
    if [ -n "$(find "$key_file" -prune \( -perm -040 -o -perm -004 \))" ]; then
        fail "others can read $key_file: chmod 600 $key_file"
    fi
    key=$(cat "$key_file")
    [ -n "$key" ] || fail "$key_file is empty"
    bytes=$(key_bytes | od -An -v -tu1)
    if [ "$(printf %s "$bytes" | wc -w)" -gt 64 ]; then
        bytes=$(key_bytes | openssl dgst -sha256 -binary | od -An -v -tu1)
    fi
    # The two pads of HMAC (RFC 2104) as octal escapes for printf, which the shell has built in.
    inner= outer= count=0
    for byte in $bytes; do
        add_byte "$byte"
    done
    while [ "$count" -lt 64 ]; do
        add_byte 0
    done
}

key_bytes() {
    case $key in
        whsec_*) printf '%s\n' "${key#whsec_}" | openssl base64 -d -A ;;
        *) printf %s "$key" ;;
    esac
}

add_byte() {
    i=$(($1 ^ 54)) o=$(($1 ^ 92)) count=$((count + 1))
    inner="$inner\\$((i / 64))$((i / 8 % 8))$((i % 8))"
    outer="$outer\\$((o / 64))$((o / 8 % 8))$((o % 8))"
}

sign() { # the message on standard input; its HMAC-SHA256 in base64 on standard output
    {
        # shellcheck disable=SC2059 # the pads are formats
        printf "$outer"
        {
            # shellcheck disable=SC2059
            printf "$inner"
            cat
        } | openssl dgst -sha256 -binary
    } | openssl dgst -sha256 -binary | openssl base64 -A
}

json() { # the argument as a JSON string
    printf '"%s"' "$(printf %s "$1" | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g')"
}

send() {
    id=msg_$(openssl rand -hex 16)
    at=$(date +%s)
    signature=$(printf '%s.%s.%s' "$id" "$at" "$1" | sign)
    printf %s "$1" | curl -q --silent --show-error --fail --output /dev/null \
        --max-time 20 --retry 3 --retry-connrefused --proto =http,https \
        ${ca_file:+--cacert "$ca_file"} \
        --header 'content-type: application/json' \
        --header "webhook-id: $id" \
        --header "webhook-timestamp: $at" \
        --header "webhook-signature: v1,$signature" \
        --data-binary @- "$url"
}

read_key
ca_file=
if [ -n "$authority" ]; then
    ca_file=$(mktemp) || fail "there is no room for the certificate"
    trap 'rm -f "$ca_file"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '%s\n' "$authority" >"$ca_file"
fi

if [ "${1:-}" = ping ]; then
    send '{"event":"ping"}' || fail "$url did not answer the ping"
    echo "casemate: $url has answered"
    exit
fi

sender=${GL_USERNAME:-${GITEA_PUSHER_NAME:-${REMOTE_USER:-$(id -un)}}}
while read -r before after ref; do
    send "{\"event\":\"push\",\"repository\":$(json "${repository:-$(pwd)}"),\"ref\":$(json "$ref"),\
\"before\":\"$before\",\"after\":\"$after\",\"sender\":$(json "$sender")}" ||
        fail "$url was not told of $ref (the push itself is done)"
done
