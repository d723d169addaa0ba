package lambdatest

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// tables are a DynamoDB with as much as the stores of MangaAssist ask of it: items
// by their key, indexes of one attribute, and the conditions of a versioned record.
type tables map[string]*table

type table struct {
	key   string // the name of the partition key
	items map[string]attributes
}

type attributes map[string]map[string]any

func newTable(key string) *table { return &table{key: key, items: map[string]attributes{}} }

// serve answers an operation in the protocol of DynamoDB.
func (t tables) serve(w http.ResponseWriter, op string, body []byte) {
	var in struct {
		TableName                 string
		Key, Item                 attributes
		IndexName                 string
		ConditionExpression       string
		ExpressionAttributeValues attributes
		ExpressionAttributeNames  map[string]string
		KeyConditionExpression    string
		UpdateExpression          string
		RequestItems              map[string]json.RawMessage
	}
	fail := func(kind string) {
		respond(w, http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.dynamodb.v20120810#" + kind, "message": kind})
	}
	if json.Unmarshal(body, &in) != nil {
		fail("SerializationException")
		return
	}
	for name := range in.RequestItems { // the stores ask for one table at a time
		in.TableName = name
	}
	one := t[in.TableName]
	if one == nil {
		fail("ResourceNotFoundException")
		return
	}
	out := map[string]any{}
	switch op {
	case "BatchGetItem":
		var ask struct{ Keys []attributes }
		items := []attributes{}
		if json.Unmarshal(in.RequestItems[in.TableName], &ask) != nil {
			fail("SerializationException")
			return
		}
		for _, key := range ask.Keys {
			if item := one.items[one.id(key)]; item != nil {
				items = append(items, item)
			}
		}
		out["Responses"] = map[string]any{in.TableName: items}
	case "BatchWriteItem":
		var ask []struct{ PutRequest struct{ Item attributes } }
		if json.Unmarshal(in.RequestItems[in.TableName], &ask) != nil {
			fail("SerializationException")
			return
		}
		for _, write := range ask {
			one.items[one.id(write.PutRequest.Item)] = write.PutRequest.Item
		}
	case "Scan":
		out["Items"] = slices.Collect(maps.Values(one.items))
	case "GetItem":
		if item := one.items[one.id(in.Key)]; item != nil {
			out["Item"] = item
		}
	case "PutItem":
		stored := one.items[one.id(in.Item)]
		if !allows(in.ConditionExpression, one.key, stored, in.ExpressionAttributeValues) {
			fail("ConditionalCheckFailedException")
			return
		}
		one.items[one.id(in.Item)] = in.Item
	case "UpdateItem":
		stored := one.items[one.id(in.Key)]
		if !allows(in.ConditionExpression, one.key, stored, in.ExpressionAttributeValues) {
			fail("ConditionalCheckFailedException")
			return
		}
		item := maps.Clone(in.Key)
		maps.Copy(item, stored)
		item.update(in.UpdateExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues)
		one.items[one.id(in.Key)] = item
	case "DeleteItem":
		delete(one.items, one.id(in.Key))
	case "Query":
		// The index has the name of its key, and the value is the only one.
		items := []attributes{}
		for item := range maps.Values(one.items) {
			for value := range maps.Values(in.ExpressionAttributeValues) {
				if reflect.DeepEqual(item[in.IndexName], value) {
					items = append(items, item)
				}
			}
		}
		out["Items"] = items
	default:
		fail("UnknownOperationException")
		return
	}
	respond(w, http.StatusOK, out)
}

// respond sends a response with its checksum, which the client looks at.
func respond(w http.ResponseWriter, status int, out any) {
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(data)), 10))
	w.WriteHeader(status)
	w.Write(data)
}

func (t *table) id(of attributes) string {
	id, _ := of[t.key]["S"].(string)
	return id
}

// update does "SET a = :a, b = :b REMOVE c, d".
func (a attributes) update(expression string, names map[string]string, values attributes) {
	named := func(name string) string {
		if n, ok := names[name]; ok {
			return n
		}
		return name
	}
	set, remove, _ := strings.Cut(strings.TrimPrefix(expression, "SET "), " REMOVE ")
	for _, assignment := range strings.Split(set, ", ") {
		name, value, _ := strings.Cut(assignment, " = ")
		a[named(name)] = values[value]
	}
	for _, name := range strings.Split(remove, ", ") {
		delete(a, named(name))
	}
}

// allows reports whether an item may be replaced.
func allows(condition, key string, stored, values attributes) bool {
	switch {
	case strings.HasPrefix(condition, "attribute_not_exists("+key+")"):
		return stored == nil
	case strings.HasPrefix(condition, "version = :version"):
		return stored != nil && reflect.DeepEqual(stored["version"], values[":version"])
	}
	return true
}
