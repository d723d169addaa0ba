package pgvector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
)

// Store is a [retrieve.Store] in a table. It reads its own writes. It is safe for
// concurrent use.
type Store struct {
	pool  *pgxpool.Pool
	table string // quoted
}

var _ retrieve.Store = (*Store)(nil)

// batch is how many documents one statement has.
const batch = 100

var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Open returns a store in a table of the database that a URL or a DSN names, with the
// parameters of package pgxpool, such as pool_max_conns. It connects when it is first
// used. Close it.
func Open(dsn, table string) (*Store, error) {
	if !tableName.MatchString(table) {
		return nil, fmt.Errorf("%w: the table is %.80q; a name has up to 63 lower-case letters, digits and underscores", retrieve.ErrInvalid, table)
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("pgvector: %w", err) // which leaves the password out
	}
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, fmt.Errorf("pgvector: %w", err)
	}
	return &Store{pool, pgx.Identifier{table}.Sanitize()}, nil
}

// Close closes the connections.
func (s *Store) Close() { s.pool.Close() }

// Create makes the extension and the table, for vectors of a length of 1 to 4,096.
// What is there already is left as it is. The role needs the right to create them.
func (s *Store) Create(ctx context.Context, dimensions int) error {
	if dimensions < 1 || dimensions > 4096 {
		return fmt.Errorf("%w: dimensions is %d; it must be 1 to 4096", retrieve.ErrInvalid, dimensions)
	}
	for _, statement := range []string{
		"CREATE EXTENSION IF NOT EXISTS vector",
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (id text COLLATE "C" PRIMARY KEY, text text NOT NULL, fields jsonb NOT NULL, vector vector(%d) NOT NULL)`, s.table, dimensions),
	} {
		if _, err := s.pool.Exec(ctx, statement); err != nil {
			return failed("Create", err)
		}
	}
	return nil
}

// Put implements [retrieve.Store].
func (s *Store) Put(ctx context.Context, entries []retrieve.Entry) error {
	entries, err := retrieve.CheckEntries(entries)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if hasNUL(e.Document) {
			return fmt.Errorf("%w: documents[%d] has the character NUL, which PostgreSQL cannot hold", retrieve.ErrInvalid, i)
		}
	}
	// Two Puts of the same documents lock them in one order.
	slices.SortFunc(entries, func(a, b retrieve.Entry) int { return strings.Compare(a.ID, b.ID) })
	for some := range slices.Chunk(entries, batch) {
		var ids, texts, fields, vectors []string
		for _, e := range some {
			object, err := json.Marshal(e.Fields) // null for none
			if err != nil {
				return failed("Put", err)
			}
			ids, texts, fields, vectors = append(ids, e.ID), append(texts, e.Text), append(fields, string(object)), append(vectors, literal(e.Vector))
		}
		_, err := s.pool.Exec(ctx, `INSERT INTO `+s.table+` (id, text, fields, vector)
			SELECT i, t, f::jsonb, v::vector FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (i, t, f, v)
			ON CONFLICT (id) DO UPDATE SET text = excluded.text, fields = excluded.fields, vector = excluded.vector`,
			ids, texts, fields, vectors)
		if err != nil {
			return failed("Put", err)
		}
	}
	return nil
}

// Search implements [retrieve.Store].
func (s *Store) Search(ctx context.Context, q retrieve.Query) ([]retrieve.Match, error) {
	q, err := retrieve.CheckQuery(q)
	if err != nil {
		return nil, err
	}
	args := []any{literal(q.Vector)}
	where := "true"
	for _, name := range slices.Sorted(maps.Keys(q.Filter)) {
		args = append(args, name, q.Filter[name])
		where += fmt.Sprintf(" AND fields -> $%d::text ?| $%d::text[]", len(args)-1, len(args))
	}
	args = append(args, q.K)
	rows, err := s.pool.Query(ctx, fmt.Sprintf(
		`SELECT id, text, fields::text, 1 - (vector <=> $1::vector) FROM %s WHERE %s ORDER BY vector <=> $1::vector, id LIMIT $%d::int`,
		s.table, where, len(args)), args...)
	if err != nil {
		return nil, failed("Search", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m retrieve.Match, err error) {
		var fields string
		if err := row.Scan(&m.ID, &m.Text, &fields, &m.Score); err != nil {
			return m, err
		}
		m.Score = min(1, max(-1, m.Score)) // what rounding added
		return m, json.Unmarshal([]byte(fields), &m.Fields)
	})
	if err != nil {
		return nil, failed("Search", err)
	}
	return found, nil
}

// Delete implements [retrieve.Store].
func (s *Store) Delete(ctx context.Context, ids ...string) error {
	if err := retrieve.CheckIDs(ids); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM `+s.table+` WHERE id = ANY($1::text[])`, ids); err != nil {
		return failed("Delete", err)
	}
	return nil
}

// literal is a vector as pgvector reads it.
func literal(v retrieve.Vector) string {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return string(append(b, ']'))
}

func hasNUL(d retrieve.Document) bool {
	all := []string{d.ID, d.Text}
	for _, values := range d.Fields {
		all = append(all, values...)
	}
	return slices.ContainsFunc(all, func(s string) bool { return strings.ContainsRune(s, 0) })
}

// failed is the error of an operation. It says what to do about the mistakes that
// are made at first.
func failed(operation string, err error) error {
	var refused *pgconn.PgError
	hint := ""
	if errors.As(err, &refused) {
		switch refused.Code {
		case "42P01": // undefined_table
			hint = "; make the table with Create"
		case "22000", "22P02": // data_exception, invalid_text_representation
			hint = "; the vectors of a table have the length that it was made for"
		case "42501": // insufficient_privilege
			hint = "; allow the role what the operation needs"
		}
	}
	return fmt.Errorf("pgvector: %s: %w%s", operation, err, hint)
}
