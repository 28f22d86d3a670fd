package registration

import (
	"encoding/json"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
)

// Shell is the language of a script.
type Shell string

// The shells that scripts are made for.
const (
	Bash       Shell = "bash"
	PowerShell Shell = "powershell"
)

// AzScript is the guide as a script for the Azure CLI, from 2.40 on: it registers
// the application with the public part of a certificate, makes its service
// principal and grants the permissions.
//
// Names and filters go through files only, never through arguments: az is a batch
// file on Windows, whose arguments cmd.exe reads once more. Graph is called by
// `az rest` with its own address, because az knows no Graph of the DoD cloud. The
// script makes nothing twice: an application of the same name ends it, and with the
// client id of that one it goes on where it stopped. No secret occurs in it.
//
// Sources: learn.microsoft.com/cli/azure/reference-index#az-rest and
// learn.microsoft.com/graph/api/{application-post-applications,
// serviceprincipal-post-serviceprincipals, serviceprincipal-post-approleassignments}.
func AzScript(kind connections.Kind, shell Shell, o GuideOptions) string {
	if AppName(kind) == "" {
		return ""
	}
	o = o.with(kind)
	text := azBash
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	if shell == PowerShell {
		text, quote = azPowerShell, func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	}
	var roles []string
	for _, p := range o.documents(kind) {
		if o.wants(p) {
			roles = append(roles, p.ResourceAppID+" "+p.RoleID+" "+p.Role)
		}
	}
	where := "az cloud set --name " + azCloud(o.Cloud.Name)
	if azCloud(o.Cloud.Name) == "" {
		where = "az cloud register …, for az does not know the cloud " + o.Cloud.Name + "; its sign-in is " + o.Cloud.Login
	}
	filter, _ := json.Marshal(map[string]string{"$filter": "displayName eq '" + strings.ReplaceAll(o.AppName, "'", "''") + "'"})
	next := "c2conn verify NAME, once the connection is made"
	if o.CanConnect {
		next = o.newCommand(kind)
	}
	return strings.NewReplacer(
		"{name}", o.AppName, "{kind}", string(kind), "{flags}", o.flags(), "{cloud}", where,
		"{cert}", "c2conn cert new --name "+advice.ShellWord(o.AppName)+" --out c2conn.cer",
		"{graph}", quote(o.Cloud.Graph), "{tenant}", quote(o.TenantID), "{login}", quote(o.Cloud.Login), "{app}", quote(o.ClientID),
		"{application}", strings.TrimSuffix(asciiJSON(MakeApplication(kind, o)), "\n"), "{filter}", ascii(string(filter)),
		"{roles}", strings.Join(roles, "\n"), "{next}", quote(next),
	).Replace(text)
}

// azCloud is the Azure CLI's name of a cloud; it has one for both of the US
// Government's, whose sign-in is the same.
//
// Source: learn.microsoft.com/cli/azure/manage-clouds-azure-cli
func azCloud(name string) string {
	switch name {
	case cloud.Global, "":
		return "AzureCloud"
	case cloud.USGov, cloud.DoD:
		return "AzureUSGovernment"
	case cloud.China:
		return "AzureChinaCloud"
	}
	return ""
}

const azBash = `#!/usr/bin/env bash
# Registers "{name}" in Entra ID with the Azure CLI and grants its permissions.
# Made by: c2conn app guide {kind} --format az{flags}
#
# Before:  {cert}
#          {cloud}
#          az login --allow-no-subscriptions --tenant TENANT
# Then:    bash register.sh [c2conn.cer]
# Again:   APP_ID=CLIENT-ID bash register.sh
#          goes on with an application that exists; its certificates are left alone.
#
# The consent to Microsoft Graph needs a Global Administrator or a Privileged Role
# Administrator. No secret is read, made or printed.
set -euo pipefail
umask 077

graph={graph}
login={login}
tenant={tenant}
app_id=${APP_ID:-{app}}
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
{filter}
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
{application}
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
{roles}
ROLES

echo
echo "Client ID: $app_id"
echo "Tenant ID: $here"
if [ "$missing" != 0 ]; then
  echo "Consent is missing. A Global Administrator or a Privileged Role Administrator gives it here:" >&2
  echo "  $login/$here/adminconsent?client_id=$app_id" >&2
  exit 4
fi
next={next}
next=${next//CLIENT-ID/$app_id}
echo "Next: ${next//TENANT-ID/$here}"
`

const azPowerShell = `#requires -Version 5.1
# Registers "{name}" in Entra ID with the Azure CLI and grants its permissions.
# Made by: c2conn app guide {kind} --format az-powershell{flags}
#
# Before:  {cert}
#          {cloud}
#          az login --allow-no-subscriptions --tenant TENANT
# Then:    .\register.ps1 [-Certificate c2conn.cer]
# Again:   .\register.ps1 -AppId CLIENT-ID
#          goes on with an application that exists; its certificates are left alone.
#
# The consent to Microsoft Graph needs a Global Administrator or a Privileged Role
# Administrator. No secret is read, made or printed.
param([string]$Certificate = 'c2conn.cer', [string]$AppId = {app})
$ErrorActionPreference = 'Stop'

$graph = {graph}
$login = {login}
$tenant = {tenant}
$work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
$null = New-Item -ItemType Directory -Path $work

# Rest METHOD PATH: one call of Microsoft Graph; gives what the query finds, a line
# each. Body and filter are JSON and go through files: az is a batch file on
# Windows, whose arguments cmd.exe reads once more.
function Rest([string]$Method, [string]$Path, [string]$Query, [string]$Body, [string]$Filter) {
    $arguments = @('rest', '--only-show-errors', '--resource', $graph, '--method', $Method, '--url', "$graph/v1.0/$Path", '--query', $Query, '--output', 'tsv')
    if ($Body) {
        [IO.File]::WriteAllText("$work/body.json", $Body)
        $arguments += @('--headers', 'Content-Type=application/json', '--body', "@$work/body.json")
    }
    if ($Filter) {
        [IO.File]::WriteAllText("$work/filter.json", $Filter)
        $arguments += @('--uri-parameters', "@$work/filter.json")
    }
    # Windows PowerShell makes an error of every line on standard error.
    $ErrorActionPreference = 'Continue'
    $lines = & az $arguments 2> "$work/error.txt"
    $ErrorActionPreference = 'Stop'
    if ($LASTEXITCODE -ne 0) { throw (Get-Content -Raw "$work/error.txt") }
    $lines
}

# Patiently BLOCK: what was just written reaches the directory's replicas one by
# one; until then they deny that it exists.
function Patiently([scriptblock]$Block) {
    for ($try = 1; ; $try++) {
        try { return & $Block }
        catch {
            if ("$_" -match 'Permission being assigned already exists') { return }
            if ($try -ge 6 -or "$_" -match 'Authorization_RequestDenied') { throw }
            Write-Warning "not there yet, asking again in $($try * 3) seconds"
            Start-Sleep -Seconds ($try * 3)
        }
    }
}

# Principal APP-ID: the object id of the application's service principal, if any.
function Principal([string]$App) {
    Rest get servicePrincipals 'value[:1].id' -Filter ('{"$filter": "appId eq ''' + $App + '''"}')
}

try {
    $here = & az account show --query tenantId --output tsv
    if ($LASTEXITCODE -ne 0) { throw 'Sign in first: az login --allow-no-subscriptions --tenant TENANT' }
    if ($tenant -match '^[0-9a-fA-F-]{36}$' -and $tenant -ne $here) { throw "az is signed in to tenant $here, not to $tenant" }
    Write-Output "Tenant: $here"

    if (-not $AppId) {
        $filter = @'
{filter}
'@
        $found = Rest get applications 'value[].appId' -Filter $filter
        if ($found) { throw "There is an application of this name: $found. To go on with it: .\register.ps1 -AppId CLIENT-ID" }
        $pem = Get-Content -Raw -Path $Certificate
        if ($pem -match 'PRIVATE KEY') { throw "$Certificate holds a private key; give the public certificate only" }
        $first = [regex]::Match($pem, '-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END')
        if (-not $first.Success) { throw "$Certificate is no PEM certificate" }
        $application = @'
{application}
'@
        $key = '{"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "c2conn", "key": "' + ($first.Groups[1].Value -replace '\s', '') + '"}],'
        # Asked once only: a second request would make a second application.
        $AppId = Rest post applications appId -Body ($key + $application.Substring(1))
        Write-Output "Application: $AppId"
    }

    $me = Principal $AppId
    if (-not $me) {
        $me = Patiently { Rest post servicePrincipals id -Body ('{"appId": "' + $AppId + '", "tags": ["WindowsAzureActiveDirectoryIntegratedApp"]}') }
    }
    Write-Output "Service principal: $me"

    $granted = try { Rest get "servicePrincipals/$me/appRoleAssignments" 'value[].appRoleId' } catch { $null }
    $resources = @{}
    $missing = $false
    $roles = @'
{roles}
'@
    foreach ($line in $roles -split '\r?\n') {
        $app, $role, $name = $line -split ' '
        if (-not $resources.ContainsKey($app)) { $resources[$app] = Principal $app }
        if (-not $resources[$app]) {
            Write-Warning "Missing: $name (this tenant has no service principal of $app)"
            $missing = $true
        }
        elseif ($granted -contains $role) { Write-Output "Granted: $name (before)" }
        else {
            try {
                $body = '{"principalId": "' + $me + '", "resourceId": "' + $resources[$app] + '", "appRoleId": "' + $role + '"}'
                $null = Patiently { Rest post "servicePrincipals/$me/appRoleAssignments" id -Body $body }
                Write-Output "Granted: $name"
            }
            catch {
                Write-Warning "Missing: $name ($_)"
                $missing = $true
            }
        }
    }

    Write-Output '' "Client ID: $AppId" "Tenant ID: $here"
    if ($missing) {
        Write-Warning "Consent is missing. A Global Administrator or a Privileged Role Administrator gives it here: $login/$here/adminconsent?client_id=$AppId"
        exit 4
    }
    Write-Output ('Next: ' + ({next} -replace 'CLIENT-ID', $AppId -replace 'TENANT-ID', $here))
}
finally {
    Remove-Item -Recurse -Force $work
}
`
