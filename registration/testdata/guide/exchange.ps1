#requires -Version 5.1
# Registers "CodeTwo Backup Exchange" in Entra ID with the Azure CLI and grants its permissions.
# Made by: c2conn app guide exchange --format az-powershell
#
# Before:  c2conn cert new --name 'CodeTwo Backup Exchange' --out c2conn.cer
#          az cloud set --name AzureCloud
#          az login --allow-no-subscriptions --tenant TENANT
# Then:    .\register.ps1 [-Certificate c2conn.cer]
# Again:   .\register.ps1 -AppId CLIENT-ID
#          goes on with an application that exists; its certificates are left alone.
#
# The consent to Microsoft Graph needs a Global Administrator or a Privileged Role
# Administrator. No secret is read, made or printed.
param([string]$Certificate = 'c2conn.cer', [string]$AppId = '')
$ErrorActionPreference = 'Stop'

$graph = 'https://graph.microsoft.com'
$login = 'https://login.microsoftonline.com'
$tenant = ''
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
{"$filter":"displayName eq 'CodeTwo Backup Exchange'"}
'@
        $found = Rest get applications 'value[].appId' -Filter $filter
        if ($found) { throw "There is an application of this name: $found. To go on with it: .\register.ps1 -AppId CLIENT-ID" }
        $pem = Get-Content -Raw -Path $Certificate
        if ($pem -match 'PRIVATE KEY') { throw "$Certificate holds a private key; give the public certificate only" }
        $first = [regex]::Match($pem, '-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END')
        if (-not $first.Success) { throw "$Certificate is no PEM certificate" }
        $application = @'
{
  "displayName": "CodeTwo Backup Exchange",
  "signInAudience": "AzureADMyOrg",
  "notes": "Registered by hand after the guide of c2conn, catalogue 2026-11.",
  "requiredResourceAccess": [
    {
      "resourceAppId": "00000002-0000-0ff1-ce00-000000000000",
      "resourceAccess": [
        {
          "id": "dc890d15-9560-4a4c-9b7f-a736ec74ec40",
          "type": "Role"
        }
      ]
    },
    {
      "resourceAppId": "00000003-0000-0000-c000-000000000000",
      "resourceAccess": [
        {
          "id": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
          "type": "Role"
        },
        {
          "id": "5b567255-7703-4780-807c-7be8301ae99b",
          "type": "Role"
        },
        {
          "id": "6931bccd-447a-43d1-b442-00a195474933",
          "type": "Role"
        },
        {
          "id": "df021288-bdef-4463-88db-98f22de89214",
          "type": "Role"
        }
      ]
    }
  ]
}
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
00000002-0000-0ff1-ce00-000000000000 dc890d15-9560-4a4c-9b7f-a736ec74ec40 full_access_as_app
00000003-0000-0000-c000-000000000000 7ab1d382-f21e-4acd-a863-ba3e13f7da61 Directory.Read.All
00000003-0000-0000-c000-000000000000 5b567255-7703-4780-807c-7be8301ae99b Group.Read.All
00000003-0000-0000-c000-000000000000 6931bccd-447a-43d1-b442-00a195474933 MailboxSettings.ReadWrite
00000003-0000-0000-c000-000000000000 df021288-bdef-4463-88db-98f22de89214 User.Read.All
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
    Write-Output ('Next: ' + ('c2conn new exchange --manual --client-id CLIENT-ID --tenant-id TENANT-ID --mailbox ACCOUNT --cert-thumbprint THUMBPRINT --name NAME' -replace 'CLIENT-ID', $AppId -replace 'TENANT-ID', $here))
}
finally {
    Remove-Item -Recurse -Force $work
}
