package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// exposition is the report for the textfile collector of a node exporter.
//
// Source: prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
// There are no timestamps behind the values: the collector refuses them.
func exposition(r Report) string {
	var m metrics
	m.family("c2conn_build_info", "The c2conn that wrote this file.")
	m.sample(1, "version", r.Version)
	m.family("c2conn_report_timestamp_seconds", "When this file was written: when it grows old, c2conn no longer runs.")
	m.sample(unix(r.At))
	m.family("c2conn_report_connections", "How many connections were verified.")
	m.sample(float64(len(r.Connections)))
	m.family("c2conn_report_problems", "How many files of the store cannot be used.")
	m.sample(float64(len(r.Problems)))

	each := func(name, help string, value func(Connection) (float64, bool)) {
		m.family(name, help)
		for _, c := range r.Connections {
			if v, known := value(c); known {
				p := c.Profile
				m.sample(v, "name", p.Name, "kind", string(p.Kind), "tenant", p.Tenant.ID)
			}
		}
	}
	each("c2conn_connection_verified", "1 when the last verification proved that the connection works, else 0.", func(c Connection) (float64, bool) {
		return flag(c.state() == "verified"), true
	})
	each("c2conn_connection_waiting_for_consent", "1 when an administrator has to consent first.", func(c Connection) (float64, bool) {
		return flag(c.state() == "waiting for consent"), true
	})
	each("c2conn_connection_credential_expiry_timestamp_seconds", "When the certificate or client secret ends; left out where that is not known.", func(c Connection) (float64, bool) {
		end := c.Profile.Credential.NotAfter
		return unix(end), !end.IsZero()
	})
	each("c2conn_verification_timestamp_seconds", "When the checks last ran; left out where they never did.", func(c Connection) (float64, bool) {
		at := c.Profile.Verification.At
		return unix(at), !at.IsZero()
	})
	m.family("c2conn_check_status", "1 for the status that the check has: pass, warn, fail or skip.")
	for _, c := range r.Connections {
		for _, check := range c.Checks {
			m.sample(1, "name", c.Profile.Name, "check", check.ID, "status", string(check.Status))
		}
	}
	m.family("c2conn_check_duration_seconds", "How long the check took.")
	for _, c := range r.Connections {
		for _, check := range c.Checks {
			m.sample(check.Duration.Seconds(), "name", c.Profile.Name, "check", check.ID)
		}
	}
	return m.String()
}

// metrics writes families, each series once.
type metrics struct {
	strings.Builder
	name    string
	written map[string]bool
}

func (m *metrics) family(name, help string) {
	m.name, m.written = name, map[string]bool{}
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

// sample writes a value with its labels, given as pairs.
func (m *metrics) sample(value float64, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelEscapes.Replace(clean(labels[i+1]))+`"`)
	}
	series := m.name
	if len(pairs) > 0 {
		series += "{" + strings.Join(pairs, ",") + "}"
	}
	if m.written[series] {
		return // the collector would refuse the whole file
	}
	m.written[series] = true
	m.WriteString(series + " " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func unix(t time.Time) float64 { return float64(t.Unix()) }

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
