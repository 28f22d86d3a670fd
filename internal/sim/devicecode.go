package sim

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// deviceAnswer is the device authorization response of v2.0; there is no
// verification_uri_complete.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code.
type deviceAnswer struct {
	UserCode   string `json:"user_code"`
	DeviceCode string `json:"device_code"`
	URI        string `json:"verification_uri,omitempty"`
	URL        string `json:"verification_url,omitempty"` // v1's name for it
	ExpiresIn  any    `json:"expires_in"`
	Interval   any    `json:"interval"`
	Message    string `json:"message"`
}

// readDeviceRequest checks the parameters of a request for a device code.
func readDeviceRequest(form url.Values, v2 bool) (clientID string, s scopes, fail *refusal) {
	if name := repeated(form); name != "" {
		return "", s, &refusal{code: 9000411, args: []any{name}}
	}
	clientID, text := form.Get("client_id"), form.Get("scope")
	if clientID == "" {
		return "", s, &refusal{code: 900144, args: []any{"client_id"}}
	}
	if !v2 {
		if form.Get("resource") == "" {
			return "", s, &refusal{code: 900144, args: []any{"resource"}}
		}
		text = form.Get("resource") + "/" + everything + " openid offline_access"
	}
	if text == "" {
		return "", s, &refusal{code: 900144, args: []any{"scope"}}
	}
	s, fail = parseScopes(text)
	return clientID, s, fail
}

// deviceCode hands out a device code.
func (w *World) deviceCode(r *request, segment string, v2 bool) *answer {
	_, shared, fail := w.tenantOf(segment)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	form, fail := parseForm(r.Header, r.body)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	clientID, s, fail := readDeviceRequest(form, v2)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	c, fail := w.clientOf(r, clientID, shared)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	now := w.now()
	d := &device{code: w.random("BAQABAAEA"), short: w.shortCode(), client: c.id, segment: strings.ToLower(segment), scopes: s, ends: now.Add(deviceLife), next: now, every: pollEvery}
	w.grants().addDevice(d, now)
	where := r.base + "/common/oauth2/deviceauth"
	out := deviceAnswer{UserCode: d.short, DeviceCode: d.code, URI: where, ExpiresIn: int(deviceLife / time.Second), Interval: int(pollEvery / time.Second),
		Message: "To sign in, use a web browser to open the page " + where + " and enter the code " + d.short + " to authenticate."}
	if !v2 {
		out.URI, out.URL, out.ExpiresIn, out.Interval = "", where, "900", "5"
	}
	a := jsonAnswer(http.StatusOK, "application/json; charset=utf-8", out)
	a.secret = true
	return a
}

// shortCode is what people type: nine letters and digits that nobody mixes up.
func (w *World) shortCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	var b [9]byte
	for i := range b {
		b[i] = letters[w.dice.below(len(letters))]
	}
	return string(b[:])
}

// redeemDevice answers a poll.
func (w *World) redeemDevice(c client, q redemption) (s signedIn, fail *refusal) {
	if !c.device {
		return s, &refusal{code: 7000218}
	}
	if q.credential {
		return s, &refusal{code: 700025}
	}
	now := w.now()
	w.grants().withDevice(func(d *device) bool { return d.code == q.code }, func(d *device) {
		switch {
		case d == nil || !strings.EqualFold(d.client, c.id):
			fail = &refusal{code: 70018}
		case d.state == deviceApproved:
			d.state, s = deviceUsed, d.by
		case d.state == deviceUsed:
			fail = &refusal{code: 54005}
		case d.state == deviceDeclined:
			fail = &refusal{code: 65004, oauth: "authorization_declined"}
		case d.state == deviceBlocked:
			fail = &refusal{code: d.blocked}
		case now.After(d.ends):
			fail = &refusal{code: 70020}
		case now.Before(d.next): // RFC 8628, section 3.5
			d.every += pollEvery
			d.next = now.Add(d.every)
			fail = &refusal{code: 70016, oauth: "slow_down"}
		default:
			d.next = now.Add(d.every)
			fail = &refusal{code: 70016}
		}
	})
	return s, fail
}

// devicePage is where people type the code.
func (w *World) devicePage(complaint string) *answer {
	return w.showPage(page{Step: "code", Title: "Enter code to allow access", Action: "/common/oauth2/deviceauth", Complaint: complaint})
}

// readUserCode reads the code as people type it: any case, with spaces or hyphens.
func readUserCode(form url.Values) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(form.Get("code"))))
}

// enterDevice takes the code.
func (w *World) enterDevice(r *request) *answer {
	form, fail := r.parameters()
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	short := readUserCode(form)
	if short == "" {
		return w.devicePage("Enter the code displayed on your app or device. (AADSTS90119)")
	}
	complaint, now := "", w.now()
	var found device
	w.grants().withDevice(func(d *device) bool { return d.short == short }, func(d *device) {
		switch {
		case d == nil:
			complaint = "That code didn't work. Check the code and try again. (AADSTS70018)"
		case now.After(d.ends):
			complaint = "That code has expired. Go back to your app or device and get a new one. (AADSTS70019)"
		case d.state != deviceWaiting:
			complaint = "That code has been used already. (AADSTS90120)"
		default:
			found = *d
		}
	})
	if complaint != "" {
		return w.devicePage(complaint)
	}
	tenant, shared, fail := w.tenantOf(found.segment)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	c, fail := w.clientOf(r, found.client, shared)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	return w.begin(r, &flow{kind: flowDevice, tenant: tenant, client: c, scopes: found.scopes, prompt: "select_account", device: found.code})
}

// settle ends the wait of a device, once.
func (w *World) settle(code string, change func(*device)) bool {
	done := false
	w.grants().withDevice(func(d *device) bool { return d.code == code }, func(d *device) {
		if d != nil && d.state == deviceWaiting && !w.now().After(d.ends) {
			change(d)
			done = true
		}
	})
	return done
}

func (w *World) approveDevice(r *request, f *flow) *answer {
	by := f.signedIn(w.now())
	w.end(f)
	if !w.settle(f.device, func(d *device) { d.state, d.by = deviceApproved, by }) {
		return w.refusePage(r, refusal{code: 70019})
	}
	return w.donePage(f.client.name, "You have signed in to the "+f.client.name+" application on your device. You may now close this window.")
}

func (w *World) declineDevice(f *flow) *answer {
	w.settle(f.device, func(d *device) { d.state = deviceDeclined })
	return w.donePage(f.client.name, "You have cancelled the sign-in on your device. You may now close this window.")
}

// blockDevice is a policy's answer to a device code.
func (w *World) blockDevice(code string, aadsts int) {
	w.settle(code, func(d *device) { d.state, d.blocked = deviceBlocked, aadsts })
}
