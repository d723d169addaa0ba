package shop

// Names and descriptions of the tools, for the model.
const (
	SearchMangaCatalogTool     = "search_manga_catalog"
	GetOrderStatusTool         = "get_order_status"
	CheckMangaAvailabilityTool = "check_manga_availability"

	SearchMangaCatalogDescription = "Search the manga catalog by title, author, genre, or keyword. " +
		"Returns matching manga entries with metadata."
	GetOrderStatusDescription         = "Check the status of a customer's manga order by order ID."
	CheckMangaAvailabilityDescription = "Check stock availability and pricing for a specific manga."
)

// The JSON Schemas of the tools' inputs.
const (
	SearchMangaCatalogSchema = `{
  "type": "object",
  "properties": {
    "query": {
      "type": "string",
      "description": "Search query text"
    },
    "genre": {
      "type": "string",
      "description": "Optional genre filter",
      "enum": ["shonen", "seinen", "shojo", "josei", "kodomo", "isekai", "mecha", "horror"]
    },
    "max_results": {
      "type": "integer",
      "description": "Maximum results to return (1-20)",
      "default": 5
    }
  },
  "required": ["query"]
}`

	GetOrderStatusSchema = `{
  "type": "object",
  "properties": {
    "order_id": {
      "type": "string",
      "description": "The order ID to look up",
      "pattern": "^ORD-[A-Z0-9]{8}$"
    }
  },
  "required": ["order_id"]
}`

	CheckMangaAvailabilitySchema = `{
  "type": "object",
  "properties": {
    "manga_id": {
      "type": "string",
      "description": "The manga ID to check"
    },
    "volume": {
      "type": "integer",
      "description": "Specific volume number (optional)"
    }
  },
  "required": ["manga_id"]
}`
)
