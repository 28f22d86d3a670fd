package autodiscover

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// jsonSize is the size in bytes of the largest JSON answer that is read. A real one
// has under 1 KiB.
const jsonSize = 64 << 10

var errNotJSON = errors.New("the answer is no JSON of an autodiscover service")

// jsonURL is where Exchange (2016 and later; from which cumulative update on is not
// documented) tells an EWS URL to anybody.
func jsonURL(host, address string) string {
	return "https://" + host + "/autodiscover/autodiscover.json/v1.0/" + url.PathEscape(address) + "?Protocol=EWS&RedirectCount=3"
}

// parseJSON reads the answer to it.
func parseJSON(body []byte) (answer, error) {
	if len(body) > jsonSize {
		return answer{}, errTooBig
	}
	var v struct {
		Protocol     string `json:"Protocol"`
		URL          string `json:"Url"`
		ErrorCode    string `json:"ErrorCode"`
		ErrorMessage string `json:"ErrorMessage"`
	}
	if json.Unmarshal(body, &v) != nil {
		return answer{}, errNotJSON
	}
	clean := func(s string) string { return transport.CleanText(strings.TrimSpace(s), 2000) }
	switch {
	case v.ErrorCode != "":
		return answer{err: &AnswerError{Status: 200, Code: code(clean(v.ErrorCode)), Message: clean(v.ErrorMessage)}}, nil
	case strings.EqualFold(v.Protocol, "EWS") && clean(v.URL) != "":
		// It does not say for which side of the firewall.
		return answer{external: clean(v.URL)}, nil
	}
	return answer{}, errNotJSON
}
