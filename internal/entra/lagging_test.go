package entra

import (
	"errors"
	"fmt"
	"testing"
)

func TestLagging(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&Error{Codes: []int{CodeApplicationUnknown}}:                       true,
		fmt.Errorf("token: %w", &Error{Codes: []int{CodeNoConsent, 1}}):    true,
		&Error{Codes: []int{7000222, CodeKeyUnknown}}:                      false, // the first decides
		&Error{OAuth: "invalid_client"}:                                    false,
		errors.New("AADSTS700016: the text of something else is no proof"): false,
	} {
		if Lagging(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}
