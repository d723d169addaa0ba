package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

func TestSearchMangaCatalog(t *testing.T) {
	s := New(catalog.Default())
	out, err := s.SearchMangaCatalog(t.Context(), SearchInput{Query: "ワンピースに似たアクション漫画", MaxResults: 3})
	require.NoError(t, err)
	assert.Equal(t, catalog.ByLikeness, out.MatchedBy)
	assert.Equal(t, []string{"ONE PIECE"}, out.SimilarTo)
	assert.Len(t, out.Results, 3)
	assert.Greater(t, out.Total, 3)

	out, err = s.SearchMangaCatalog(t.Context(), SearchInput{Query: "romance", Genre: "josei"})
	require.NoError(t, err)
	require.NotEmpty(t, out.Results)
	for _, b := range out.Results {
		assert.Equal(t, catalog.Josei, b.Demographic)
		assert.Contains(t, b.Genres, catalog.Genre("romance"))
	}

	out, err = s.SearchMangaCatalog(t.Context(), SearchInput{Genre: "mecha", Query: "mecha", MaxResults: 20})
	require.NoError(t, err)
	for _, b := range out.Results {
		assert.Contains(t, b.Genres, catalog.Genre("mecha"))
	}

	out, err = s.SearchMangaCatalog(t.Context(), SearchInput{Query: "qwertyuiop"})
	require.NoError(t, err)
	assert.Empty(t, out.Results)
	assert.NotEmpty(t, out.Hint)
	b, err := json.Marshal(out)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"results":[]`)
}

func TestGetOrderStatus(t *testing.T) {
	s := New(catalog.Default())
	for id, o := range orders {
		out, err := s.GetOrderStatus(t.Context(), OrderInput{OrderID: id})
		require.NoError(t, err)
		assert.Equal(t, o.status, out.Status)
		assert.Equal(t, o.status == Processing || o.status == Shipped || o.status == Backordered, out.ETADays > 0, id)
		assert.Equal(t, o.status == Delivered || o.status == Shipped, out.Tracking != "", id)
		sum := 0
		for _, item := range out.Items {
			m, ok := s.books.ByID(item.MangaID)
			require.True(t, ok)
			assert.Equal(t, m.Title, item.Title)
			assert.LessOrEqual(t, item.Volume, m.Volumes)
			sum += item.PriceJPY * item.Quantity
		}
		assert.Equal(t, sum, out.TotalJPY)
	}
	for id, want := range orders {
		assert.Empty(t, want.items[0].Title, "GetOrderStatus changed the order %s", id)
	}
}

func TestCheckMangaAvailability(t *testing.T) {
	s := New(catalog.Default())
	var someGone, allThere bool
	for _, id := range []string{"MNG-BERSERK0", "MNG-MONSTER0", "MNG-LOOKBACK", "MNG-ONEPIECE", "MNG-UZUMAKI0"} {
		series, err := s.CheckMangaAvailability(t.Context(), AvailabilityInput{MangaID: id})
		require.NoError(t, err)
		inStock := 0
		for v := 1; v <= series.Volumes; v++ {
			one, err := s.CheckMangaAvailability(t.Context(), AvailabilityInput{MangaID: id, Volume: &v})
			require.NoError(t, err)
			assert.Equal(t, v, one.Volume)
			assert.Equal(t, series.PriceJPY, one.PriceJPY)
			assert.Equal(t, one.Available, one.Quantity > 0)
			assert.Equal(t, one.Available, one.RestockDays == 0)
			if one.Available {
				inStock++
			}
		}
		assert.Equal(t, inStock, series.InStock)
		assert.Equal(t, inStock == series.Volumes, series.SetPriceJPY > 0)
		someGone = someGone || inStock < series.Volumes
		allThere = allThere || inStock == series.Volumes
	}
	assert.True(t, someGone && allThere, "the stock shows both cases")

	out, err := s.CheckMangaAvailability(t.Context(), AvailabilityInput{MangaID: "MNG-TOMIEITO"})
	require.NoError(t, err)
	assert.Zero(t, out.Volumes, "the catalogue does not know the number")
}

func TestErrorsSayWhatIsRight(t *testing.T) {
	s := New(catalog.Default())
	search := func(in SearchInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.SearchMangaCatalog(ctx, in); return err }
	}
	order := func(id string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.GetOrderStatus(ctx, OrderInput{id}); return err }
	}
	check := func(id string, volume int) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.CheckMangaAvailability(ctx, AvailabilityInput{id, &volume})
			return err
		}
	}
	for name, tt := range map[string]struct {
		call  func(context.Context) error
		kind  error
		field string
		want  string
	}{
		"empty query":     {search(SearchInput{Query: "  "}), ErrInvalidInput, "query", "give a title"},
		"long query":      {search(SearchInput{Query: strings.Repeat("漫", 501)}), ErrInvalidInput, "query", "500 characters"},
		"genre":           {search(SearchInput{Query: "x", Genre: "romance"}), ErrInvalidInput, "genre", "put other genres into the query"},
		"max_results":     {search(SearchInput{Query: "x", MaxResults: 21}), ErrInvalidInput, "max_results", "between 1 and 20"},
		"order id":        {order("MANGA001"), ErrInvalidInput, "order_id", "ORD-MANGA001"},
		"long order id":   {order(strings.Repeat("A", 1000)), ErrInvalidInput, "order_id", "…"},
		"unknown order":   {order("ORD-ZZZZZZZZ"), ErrNotFound, "order_id", "check the number"},
		"title as id":     {check("One Piece", 1), ErrInvalidInput, "manga_id", SearchMangaCatalogTool},
		"unknown manga":   {check("MNG-ZZZZZZZZ", 1), ErrNotFound, "manga_id", SearchMangaCatalogTool},
		"volume 0":        {check("MNG-MONSTER0", 0), ErrInvalidInput, "volume", "the first is 1"},
		"volume too high": {check("MNG-MONSTER0", 19), ErrNotFound, "volume", "18 volumes"},
		"not yet":         {check("MNG-ONEPIECE", 999), ErrNotFound, "volume", "as of 2024"},
		"unknown count":   {check("MNG-TOMIEITO", 1), ErrNotFound, "volume", "without a volume"},
		"single volume":   {check("MNG-LOOKBACK", 2), ErrNotFound, "volume", "has 1 volume,"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.call(t.Context())
			require.ErrorIs(t, err, tt.kind)
			var in *InputError
			require.ErrorAs(t, err, &in)
			assert.Equal(t, tt.field, in.Field)
			assert.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 300)
		})
	}
}

// The schemas and the Go types are two descriptions of the same inputs.
func TestSchemas(t *testing.T) {
	for _, tt := range []struct {
		schema string
		in     any
		good   string
		bad    []string
	}{
		{SearchMangaCatalogSchema, SearchInput{}, `{"query":"x","genre":"horror","max_results":3}`, []string{`{}`, `{"query":1}`, `{"query":"x","genre":"romance"}`, `{"query":"x","max_results":"3"}`}},
		{GetOrderStatusSchema, OrderInput{}, `{"order_id":"ORD-MANGA001"}`, []string{`{}`, `{"order_id":"ord-manga001"}`, `{"order_id":"ORD-1"}`}},
		{CheckMangaAvailabilitySchema, AvailabilityInput{}, `{"manga_id":"MNG-ONEPIECE","volume":2}`, []string{`{"volume":2}`, `{"manga_id":"x","volume":"two"}`}},
	} {
		var schema jsonschema.Schema
		require.NoError(t, json.Unmarshal([]byte(tt.schema), &schema))
		resolved, err := schema.Resolve(nil)
		require.NoError(t, err)

		fields := make(map[string]bool)
		for f := range reflect.TypeOf(tt.in).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = true
			assert.Contains(t, schema.Properties, name)
		}
		assert.Len(t, schema.Properties, len(fields))

		value := func(s string) (v any) {
			require.NoError(t, json.NewDecoder(bytes.NewReader([]byte(s))).Decode(&v))
			return v
		}
		assert.NoError(t, resolved.Validate(value(tt.good)), tt.good)
		for _, bad := range tt.bad {
			assert.Error(t, resolved.Validate(value(bad)), bad)
		}
	}
	// Every genre of the enum works as a filter, and no other.
	var schema jsonschema.Schema
	require.NoError(t, json.Unmarshal([]byte(SearchMangaCatalogSchema), &schema))
	var enum []string
	for _, g := range schema.Properties["genre"].Enum {
		enum = append(enum, g.(string))
		out, err := New(catalog.Default()).SearchMangaCatalog(t.Context(), SearchInput{Query: "manga", Genre: g.(string)})
		require.NoError(t, err)
		assert.NotEmpty(t, out.Results, g)
	}
	assert.Equal(t, genreFilters, enum)
}

func TestDollars(t *testing.T) {
	assert.Equal(t, "0.00", dollars(0))
	assert.Equal(t, "3.23", dollars(484))
	assert.Equal(t, "1.00", dollars(150))
	assert.Equal(t, "1000.01", dollars(150_001))
}

func TestInventedStaysTheSame(t *testing.T) {
	assert.Equal(t, 8, stock("MNG-ONEPIECE", 1))
	assert.Equal(t, 693, price("MNG-ONEPIECE"))
}

// The search by meaning is asked with what the tool was given, and only if the
// catalogue finds nothing. What it returns is bounded and must be in the catalogue.
func TestSearchByMeaning(t *testing.T) {
	var asked []any
	answer := []string{"MNG-NOTTHERE"}
	for m := range catalog.Default().All() {
		answer = append(answer, m.ID)
	}
	s := New(catalog.Default(), func(o *Options) {
		o.ByMeaning = func(_ context.Context, text string, d catalog.Demographic, g catalog.Genre, limit int) []string {
			asked = append(asked, text, d, g, limit)
			return answer
		}
	})
	out, err := s.SearchMangaCatalog(t.Context(), SearchInput{Query: "One Piece"})
	require.NoError(t, err)
	assert.Equal(t, catalog.ByTitle, out.MatchedBy)
	assert.Empty(t, asked)

	out, err = s.SearchMangaCatalog(t.Context(), SearchInput{Query: "Do you have something about qwrtzx?", MaxResults: 3})
	require.NoError(t, err)
	assert.Equal(t, []any{"qwrtzx", catalog.Demographic(""), catalog.Genre(""), 3}, asked)
	assert.Equal(t, catalog.ByMeaning, out.MatchedBy)
	require.Len(t, out.Results, 3)
	assert.Equal(t, answer[1], out.Results[0].MangaID)

	answer = nil
	out, err = s.SearchMangaCatalog(t.Context(), SearchInput{Query: "qwrtzx"})
	require.NoError(t, err)
	assert.Equal(t, catalog.ByNothing, out.MatchedBy)
	assert.NotEmpty(t, out.Hint)
}
