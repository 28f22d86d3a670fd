package sim

import (
	"fmt"
	"net/http"
	"strconv"
)

// refusal is an error of Entra ID: its code, and what fills the text's gaps.
type refusal struct {
	code   int
	args   []any
	status int    // replaces the code's own HTTP status
	oauth  string // replaces the code's own OAuth error

	app, appID string // of the application, for the pages of Conditional Access
}

// loginText is what Entra ID says and how: OAuth error, HTTP status, text.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-error-codes;
// texts as administrators see and report them.
type loginText struct {
	oauth  string
	status int
	text   string
}

func loginTexts() map[int]loginText {
	const bad, unauthorized = http.StatusBadRequest, http.StatusUnauthorized
	const wrongTenant = " This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
	return map[int]loginText{
		50013:   {"invalid_client", unauthorized, "Assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '%v', Found key 'Start=%v, End=%v', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%v'.]"},
		50027:   {"invalid_request", bad, "JWT token is invalid or malformed. %v"},
		50049:   {"invalid_instance", bad, "Unknown or invalid instance."},
		50011:   {"invalid_request", bad, "The redirect URI '%v' specified in the request does not match the redirect URIs configured for the application '%v'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to fix this."},
		50020:   {"invalid_grant", bad, "User account '%v' from identity provider '%v' does not exist in tenant '%v' and cannot access the application '%v'(%v) in that tenant. The account needs to be added as an external user in the tenant first. Sign out and sign in again with a different Azure Active Directory user account."},
		50057:   {"invalid_grant", bad, "The user account is disabled."},
		50058:   {"login_required", bad, "A silent sign-in request was sent but no user is signed in."},
		50059:   {"invalid_request", bad, "No tenant-identifying information found in either the request or implied by any provided credentials."},
		50076:   {"invalid_grant", bad, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '%v'."},
		50079:   {"invalid_grant", bad, "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '%v'."},
		50089:   {"invalid_request", bad, "Authentication failed due to flow token expired. Start the sign-in again in the application."},
		50105:   {"access_denied", bad, "Your administrator has configured the application %v ('%v') to block users unless they are specifically granted ('assigned') access to the application. The signed-in user '%v' is blocked because they are not a direct member of a group with access, nor had access directly assigned by an administrator. Please contact your administrator to assign access to this application."},
		50147:   {"invalid_request", bad, "Missing code challenge. The size of the code challenge parameter isn't valid."},
		50148:   {"invalid_grant", bad, "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."},
		50149:   {"invalid_request", bad, "Invalid Code_Challenge_method parameter."},
		50194:   {"unauthorized_client", bad, "Application '%v'(%v) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such applications created after '%v'. Use a tenant-specific endpoint or configure the application to be multi-tenant."},
		53000:   {"invalid_grant", bad, "Device is not in required device state: compliant. Conditional Access policy requires a compliant device, and the device is not compliant. The user must enroll their device with an approved MDM provider like Intune."},
		53003:   {"invalid_grant", bad, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
		54005:   {"invalid_grant", bad, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."},
		65001:   {"invalid_grant", bad, "The user or administrator has not consented to use the application with ID '%v' named '%v'. Send an interactive authorization request for this user and resource."},
		65002:   {"invalid_client", bad, "Consent between first party application '%v' and first party resource '%v' must be configured via preauthorization - applications owned and operated by Microsoft must get approval from the API owner before requesting tokens for that API."},
		65004:   {"access_denied", bad, "User declined to consent to access the app."},
		65006:   {"invalid_resource", bad, "The entitlement '%v' that the application asks for does not exist on the resource '%v'."},
		70000:   {"invalid_grant", bad, "Provided grant is invalid or malformed. It was issued to another application."},
		70003:   {"unsupported_grant_type", bad, "The app requested an unsupported grant type '%v'."},
		70005:   {"unsupported_response_type", bad, "'%v' is not a supported value of 'response_type'."},
		70007:   {"unsupported_response_mode", bad, "'%v' is not a supported value of 'response_mode' when requesting a token."},
		70008:   {"invalid_grant", bad, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."},
		70011:   {"invalid_scope", bad, "The provided value for the input parameter 'scope' is not valid. The scope %v is not valid."},
		70016:   {"authorization_pending", bad, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."},
		70018:   {"bad_verification_code", bad, "Invalid verification code. The device code was not issued to this application or is misspelt."},
		70019:   {"expired_token", bad, "Verification code expired."},
		70020:   {"expired_token", bad, "The provided value for the input parameter 'device_code' is not valid. This device code has expired."},
		90002:   {"invalid_request", bad, "Tenant '%v' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
		90023:   {"invalid_request", bad, "%v"},
		90033:   {"temporarily_unavailable", http.StatusServiceUnavailable, "A transient error has occurred. Please try again."},
		90038:   {"invalid_request", bad, "Tenant '%v' request is being redirected to the National Cloud '%v'. The current cloud instance '%v' does not federate with it."},
		90055:   {"temporarily_unavailable", http.StatusTooManyRequests, "The server has terminated the request because the tenant is sending too many requests. Wait a while and try again."},
		90094:   {"access_denied", bad, "An administrator of %v has set a policy that prevents you from granting %v the permissions it is requesting. Contact an administrator, who can grant permissions to this application on your behalf."},
		90100:   {"invalid_request", bad, "The parameter '%v' is empty or not valid."},
		90102:   {"invalid_request", bad, "'%v' value must be a valid absolute URI."},
		28000:   {"invalid_scope", bad, "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope %v is not valid."},
		500011:  {"invalid_resource", bad, "The resource principal named %v was not found in the tenant named %v. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."},
		500112:  {"invalid_client", unauthorized, "The reply address '%v' does not match the reply address '%v' provided when requesting Authorization code."},
		500113:  {"invalid_request", bad, "No reply address is registered for the application."},
		501481:  {"invalid_grant", bad, "The Code_Verifier does not match the code_challenge supplied in the authorization request."},
		501491:  {"invalid_request", bad, "Invalid size of Code_Challenge parameter."},
		650052:  {"invalid_resource", bad, "The app needs access to a service (\"%v\") that your organization \"%v\" has not subscribed to or enabled. Contact your IT Admin to review the configuration of your service subscriptions."},
		650053:  {"invalid_client", bad, "The application '%v' asked for scope '%v' that doesn't exist on the resource '%v'. Contact the app vendor."},
		650057:  {"invalid_resource", bad, "Invalid resource. The client has requested access to a resource which is not listed in the requested permissions in the client's application registration. Client app ID: %v(%v). Resource value from request: %v. Resource app ID: %v. List of valid resources from app registration: %v."},
		700005:  {"invalid_grant", bad, "Provided Authorization Code is intended to use against other tenant, thus rejected. OAuth2 Authorization Code must be redeemed against same tenant it was acquired for (/common or /{tenant-ID} as appropriate)."},
		700009:  {"invalid_request", bad, "Reply address must be provided when presented the authorization code requires one."},
		700016:  {"unauthorized_client", bad, "Application with identifier '%v' was not found in the directory '%v'." + wrongTenant},
		700021:  {"invalid_client", unauthorized, "Client assertion application identifier doesn't match 'client_id' parameter."},
		700022:  {"invalid_scope", bad, "The provided value for the input parameter 'scope' isn't valid because it contains more than one resource. %v"},
		700023:  {"invalid_client", unauthorized, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."},
		700024:  {"invalid_client", unauthorized, "Client assertion is not within its valid time range. Current time: %v, assertion valid from %v, expiry time of assertion %v. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."},
		700025:  {"invalid_client", unauthorized, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."},
		700051:  {"unsupported_response_type", bad, "response_type 'token' is not enabled for the application."},
		700054:  {"unsupported_response_type", bad, "response_type 'id_token' is not enabled for the application."},
		700082:  {"invalid_grant", bad, "The refresh token has expired due to inactivity. The token was issued on %v and was inactive for %v."},
		700027:  {"invalid_client", unauthorized, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - %v Thumbprint of key used by client: '%v', %vPlease visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%v'. Review the documentation at https://learn.microsoft.com/graph/deployments to determine the corresponding service endpoint and https://learn.microsoft.com/graph/api/application-get to build a query request URL.]"},
		900021:  {"invalid_request", bad, "Requested tenant identifier '%v' is not valid. Tenant identifiers may not be an empty GUID."},
		900023:  {"invalid_request", bad, "Specified tenant identifier '%v' is neither a valid DNS name, nor a valid external domain."},
		900144:  {"invalid_request", bad, "The request body must contain the following parameter: '%v'."},
		900971:  {"invalid_request", bad, "No reply address provided."},
		9000411: {"invalid_request", bad, "The request is not properly formatted. The parameter '%v' is duplicated."},
		9002313: {"invalid_grant", bad, "Invalid request. Request is malformed or invalid."},
		900561:  {"invalid_request", bad, "The endpoint only accepts POST requests. Received a %v request."},
		1002012: {"invalid_scope", bad, "The provided value for scope %v is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."},
		5002738: {"invalid_client", unauthorized, "Invalid JWT token. '%v' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, RS384, RS512, PS256, PS384, PS512'."},
		7000112: {"unauthorized_client", bad, "Application '%v'(%v) is disabled."},
		7000215: {"invalid_client", unauthorized, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%v'."},
		7000216: {"invalid_client", unauthorized, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."},
		7000218: {"invalid_client", unauthorized, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
		7000222: {"invalid_client", unauthorized, "The provided client secret keys for app '%v' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."},
		7000229: {"unauthorized_client", bad, "The client application %v is missing service principal in the tenant %v. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119"},
	}
}

type loginErrorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
	Suberror      string `json:"suberror,omitempty"`

	text string // without the ids, for pages
}

func (b loginErrorBody) code() string { return strconv.Itoa(b.Codes[0]) }

// explain makes an error and its HTTP status.
func (w *World) explain(r *request, f refusal) (loginErrorBody, int) {
	known, ok := loginTexts()[f.code]
	if !ok {
		known = loginText{"invalid_request", http.StatusBadRequest, "The request was refused."}
	}
	text := known.text
	if len(f.args) > 0 {
		text = fmt.Sprintf(text, f.args...)
	}
	if f.status == 0 {
		f.status = known.status
	}
	if f.oauth == "" {
		f.oauth = known.oauth
	}
	stamp := w.now().UTC().Format("2006-01-02 15:04:05Z")
	code := strconv.Itoa(f.code)
	text = "AADSTS" + code + ": " + text
	body := loginErrorBody{Error: f.oauth, Codes: []int{f.code}, Timestamp: stamp, TraceID: r.id, CorrelationID: r.correlation, URI: r.base + "/error?code=" + code, text: text,
		Description: text + "\r\nTrace ID: " + r.id + "\r\nCorrelation ID: " + r.correlation + "\r\nTimestamp: " + stamp}
	switch f.code {
	case 53000, 53003:
		body.Suberror = "message_only"
	case 50076, 50079:
		body.Suberror = "basic_action"
	case 65001:
		body.Suberror = "consent_required"
	}
	return body, f.status
}

// refuse writes the error as the endpoints for programs do.
func (w *World) refuse(r *request, f refusal) *answer {
	body, status := w.explain(r, f)
	return jsonAnswer(status, "application/json; charset=utf-8", body)
}
