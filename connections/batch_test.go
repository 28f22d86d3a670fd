package connections

import (
	"errors"
	"fmt"
	"testing"
)

// Several are updated in one turn; what is wrong with one is no matter for the others.
func TestUpdateEach(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	var names []string
	for i := range 5 {
		c := sample(fmt.Sprintf("each-%d", i))
		if _, err := s.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Name)
	}
	refused := errors.New("not this one")
	saved, errs := s.UpdateEach(t.Context(), append(names, "nobody"), func(i int, c *Connection) error {
		switch i {
		case 1:
			return refused
		case 2:
			c.Account = "no address\x00"
		case 3:
			c.Name = "renamed"
		default:
			c.Account = "new@contoso.com"
		}
		return nil
	})
	if !errors.Is(errs[1], refused) || errs[2] == nil || !errors.Is(errs[5], ErrNotFound) {
		t.Errorf("%v", errs)
	}
	for _, i := range []int{0, 4} {
		c, err := s.Get(t.Context(), names[i])
		if errs[i] != nil || err != nil || c.Account != "new@contoso.com" || saved[i].Account != c.Account {
			t.Errorf("%s: %+v, %v, %v", names[i], c, err, errs[i])
		}
	}
	if c, err := s.Get(t.Context(), "renamed"); err != nil || c.ID != saved[3].ID {
		t.Errorf("%+v, %v", c, err)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 5 {
		t.Errorf("%d connections, %v", len(list), err)
	}
	for _, e := range list {
		if e.Err != nil {
			t.Error(e.Err)
		}
	}
	if c, err := s.Get(t.Context(), names[1]); err != nil || c.Account == "new@contoso.com" {
		t.Errorf("%+v, %v", c, err)
	}
}

// Nothing is made where nothing is saved.
func TestUpdateEachOfNothing(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	_, errs := s.UpdateEach(t.Context(), []string{"nobody"}, func(int, *Connection) error { return nil })
	if !errors.Is(errs[0], ErrNotFound) {
		t.Error(errs)
	}
}
