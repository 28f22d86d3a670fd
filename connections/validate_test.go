package connections_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// Several errors stay apart on one line.
func TestErrorsOfSeveralFields(t *testing.T) {
	t.Parallel()
	c := connections.Connection{Name: "x", Kind: connections.SharePoint, Location: connections.Online, Cloud: "global", Tenant: connections.Tenant{Domain: "contoso.com", Name: "a\x1b"}, Registration: connections.Registration{ClientID: "11111111-2222-3333-4444-555555555555"},
		Credential: connections.Credential{Type: connections.TypeClientSecret, Secret: "env:X"}, Endpoints: connections.Endpoints{SharePoint: "contoso"}}
	err := c.Validate()
	var field *connections.FieldError
	if err == nil || !errors.As(err, &field) || field.Field != "tenant.name" || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "characters; endpoints.sharepoint: must be") {
		t.Errorf("%v", err)
	}
}
