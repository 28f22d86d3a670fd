#!/usr/bin/env bash
# Registers "O'Brien's backup" in Entra ID with the Azure CLI and grants its permissions.
# Made by: c2conn app guide sharepoint --format az
#
# Before:  c2conn cert new --name 'O'\''Brien'\''s backup' --out c2conn.cer
#          az cloud set --name AzureCloud
#          az login --allow-no-subscriptions --tenant TENANT
# Then:    bash register.sh [c2conn.cer]
# Again:   APP_ID=CLIENT-ID bash register.sh
#          goes on with an application that exists; its certificates are left alone.
#
# The consent to Microsoft Graph needs a Global Administrator or a Privileged Role
# Administrator. No secret is read, made or printed.
set -euo pipefail
umask 077

graph='https://graph.microsoft.com'
login='https://login.microsoftonline.com'
tenant='11111111-2222-3333-4444-555555555555'
app_id=${APP_ID:-'2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa'}
certificate=${1:-c2conn.cer}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "register.sh: $*" >&2; exit 1; }

# rest METHOD PATH [az options]: one call of Microsoft Graph.
rest() {
  local method=$1 path=$2
  shift 2
  az rest --only-show-errors --resource "$graph" --method "$method" --url "$graph/v1.0/$path" "$@"
}

# patiently COMMAND...: what was just written reaches the directory's replicas
# one by one; until then they deny that it exists.
patiently() {
  local try
  for try in 1 2 3 4 5 6; do
    if "$@" 2>"$work/error"; then return 0; fi
    if grep -q 'Permission being assigned already exists' "$work/error"; then return 0; fi
    if grep -q 'Authorization_RequestDenied' "$work/error"; then break; fi
    if [ "$try" -lt 6 ]; then
      echo "  not there yet, asking again in $((try * 3)) seconds" >&2
      sleep $((try * 3))
    fi
  done
  cat "$work/error" >&2
  return 1
}

here=$(az account show --query tenantId --output tsv | tr -d '\r') || fail 'sign in first: az login --allow-no-subscriptions --tenant TENANT'
case $tenant in
  *-*-*-*-*) [ "$tenant" = "$here" ] || fail "az is signed in to tenant $here, not to $tenant" ;;
esac
echo "Tenant: $here"

if [ -z "$app_id" ]; then
  cat > "$work/filter.json" <<'FILTER'
{"$filter":"displayName eq 'O''Brien''s backup'"}
FILTER
  found=$(rest get applications --uri-parameters "@$work/filter.json" --query 'value[].appId' --output tsv | tr -d '\r')
  if [ -n "$found" ]; then
    fail "there is an application of this name: ${found//$'\n'/, }. To go on with it: APP_ID=CLIENT-ID bash register.sh"
  fi
  [ -r "$certificate" ] || fail "cannot read $certificate; make one: c2conn cert new --out $certificate"
  if grep -q 'PRIVATE KEY' "$certificate"; then fail "$certificate holds a private key; give the public certificate only"; fi
  key=$(awk '/^-----END/ {exit} on {printf "%s", $0} /^-----BEGIN CERTIFICATE-----/ {on=1}' "$certificate" | tr -d '\r')
  [ -n "$key" ] || fail "$certificate is no PEM certificate"
  {
    printf '{"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "c2conn", "key": "%s"}],\n' "$key"
    sed '1d' <<'APPLICATION'
{
  "displayName": "O'Brien's backup",
  "signInAudience": "AzureADMyOrg",
  "notes": "Registered by hand after the guide of c2conn, catalogue 2026-11.",
  "requiredResourceAccess": [
    {
      "resourceAppId": "00000003-0000-0000-c000-000000000000",
      "resourceAccess": [
        {
          "id": "df021288-bdef-4463-88db-98f22de89214",
          "type": "Role"
        },
        {
          "id": "332a536c-c7ef-4017-ab91-336970924f0d",
          "type": "Role"
        }
      ]
    },
    {
      "resourceAppId": "00000003-0000-0ff1-ce00-000000000000",
      "resourceAccess": [
        {
          "id": "678536fe-1083-478a-9c59-b99265e6b0d3",
          "type": "Role"
        }
      ]
    }
  ]
}
APPLICATION
  } > "$work/application.json"
  # Asked once only: a second request would make a second application.
  app_id=$(rest post applications --headers Content-Type=application/json --body "@$work/application.json" --query appId --output tsv | tr -d '\r')
  echo "Application: $app_id"
fi

# principal APP-ID: the object id of the application's service principal, if any.
principal() {
  printf "{\"\$filter\": \"appId eq '%s'\"}\n" "$1" > "$work/filter.json"
  rest get servicePrincipals --uri-parameters "@$work/filter.json" --query 'value[:1].id' --output tsv | tr -d '\r'
}

me=$(principal "$app_id")
if [ -z "$me" ]; then
  printf '{"appId": "%s", "tags": ["WindowsAzureActiveDirectoryIntegratedApp"]}\n' "$app_id" > "$work/principal.json"
  patiently rest post servicePrincipals --headers Content-Type=application/json --body "@$work/principal.json" --query id --output tsv > "$work/me"
  me=$(tr -d '\r' < "$work/me")
fi
echo "Service principal: $me"

rest get "servicePrincipals/$me/appRoleAssignments" --query 'value[].appRoleId' --output tsv 2>"$work/error" | tr -d '\r' > "$work/granted" || true

missing=0
resource='' resource_app=''
while read -r app role name <&3; do
  if [ "$app" != "$resource_app" ]; then
    resource=$(principal "$app")
    resource_app=$app
  fi
  if [ -z "$resource" ]; then
    echo "Missing: $name (this tenant has no service principal of $app)" >&2
    missing=1
  elif grep -qix "$role" "$work/granted"; then
    echo "Granted: $name (before)"
  else
    printf '{"principalId": "%s", "resourceId": "%s", "appRoleId": "%s"}\n' "$me" "$resource" "$role" > "$work/assignment.json"
    if patiently rest post "servicePrincipals/$me/appRoleAssignments" --headers Content-Type=application/json --body "@$work/assignment.json" --output none; then
      echo "Granted: $name"
    else
      echo "Missing: $name" >&2
      missing=1
    fi
  fi
done 3<<'ROLES'
00000003-0000-0000-c000-000000000000 df021288-bdef-4463-88db-98f22de89214 User.Read.All
00000003-0000-0000-c000-000000000000 332a536c-c7ef-4017-ab91-336970924f0d Sites.Read.All
00000003-0000-0ff1-ce00-000000000000 678536fe-1083-478a-9c59-b99265e6b0d3 Sites.FullControl.All
ROLES

echo
echo "Client ID: $app_id"
echo "Tenant ID: $here"
if [ "$missing" != 0 ]; then
  echo "Consent is missing. A Global Administrator or a Privileged Role Administrator gives it here:" >&2
  echo "  $login/$here/adminconsent?client_id=$app_id" >&2
  exit 4
fi
next='c2conn new sharepoint --manual --sharepoint-url COMPANY --client-id 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa --tenant-id 11111111-2222-3333-4444-555555555555 --cert-thumbprint THUMBPRINT --name NAME'
next=${next//CLIENT-ID/$app_id}
echo "Next: ${next//TENANT-ID/$here}"
