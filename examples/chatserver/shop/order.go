package shop

import (
	"context"
	"regexp"
)

// OrderInput is the input of [Shop.GetOrderStatus].
type OrderInput struct {
	OrderID string `json:"order_id"` // "ORD-" and eight letters or digits
}

// OrderStatus is how far an order has come.
type OrderStatus string

// The statuses of an order.
const (
	Processing  OrderStatus = "processing"  // being packed
	Backordered OrderStatus = "backordered" // waiting for a volume that is sold out
	Shipped     OrderStatus = "shipped"     // on its way
	Delivered   OrderStatus = "delivered"
	Canceled    OrderStatus = "cancelled" // by the customer; nothing is charged
)

// OrderOutput is an order.
type OrderOutput struct {
	OrderID  string      `json:"order_id"`
	Status   OrderStatus `json:"status"`
	Items    []OrderItem `json:"items"`
	TotalJPY int         `json:"total_jpy"`          // yen
	TotalUSD string      `json:"total_usd"`          // dollars and cents, "12.80"
	ETADays  int         `json:"eta_days,omitempty"` // days until delivery; 0 if there will be none
	Carrier  string      `json:"carrier,omitempty"`  // once it is shipped
	Tracking string      `json:"tracking,omitempty"` // the carrier's number
}

// OrderItem is one volume in an order.
type OrderItem struct {
	MangaID  string `json:"manga_id"`
	Title    string `json:"title"`
	Romaji   string `json:"title_romaji"`
	Volume   int    `json:"volume"`
	Quantity int    `json:"quantity"`
	PriceJPY int    `json:"price_jpy"` // of one copy, in yen
}

// order is an order as the shop keeps it.
type order struct {
	status  OrderStatus
	items   []OrderItem // without titles and prices
	etaDays int
}

// The orders of the shop. They are invented.
var orders = map[string]order{
	"ORD-MANGA001": {Shipped, []OrderItem{{MangaID: "MNG-FRIEREN0", Volume: 1, Quantity: 1}, {MangaID: "MNG-FRIEREN0", Volume: 2, Quantity: 1}}, 2},
	"ORD-MANGA002": {Processing, []OrderItem{{MangaID: "MNG-ONEPIECE", Volume: 1, Quantity: 2}}, 4},
	"ORD-MANGA003": {Delivered, []OrderItem{{MangaID: "MNG-MONSTER0", Volume: 18, Quantity: 1}}, 0},
	"ORD-MANGA004": {Backordered, []OrderItem{{MangaID: "MNG-BERSERK0", Volume: 42, Quantity: 1}, {MangaID: "MNG-VINLAND0", Volume: 1, Quantity: 1}}, 12},
	"ORD-MANGA005": {Canceled, []OrderItem{{MangaID: "MNG-YOTSUBA0", Volume: 15, Quantity: 1}}, 0},
}

// OrderIDPattern is the form of an order's id.
const OrderIDPattern = `^ORD-[A-Z0-9]{8}$`

var orderIDForm = regexp.MustCompile(OrderIDPattern)

// GetOrderStatus returns an order of the shop. The shop has five, from
// ORD-MANGA001 to ORD-MANGA005; they are invented.
func (s *Shop) GetOrderStatus(ctx context.Context, in OrderInput) (OrderOutput, error) {
	if !orderIDForm.MatchString(in.OrderID) {
		return OrderOutput{}, invalid("order_id", `%q is not an order id; one is "ORD-" and eight capital letters or digits, such as ORD-MANGA001: ask the customer for it`, clip(in.OrderID))
	}
	o, ok := orders[in.OrderID]
	if !ok {
		return OrderOutput{}, notFound("order_id", "there is no order %s; ask the customer to check the number in the confirmation", in.OrderID)
	}
	out := OrderOutput{OrderID: in.OrderID, Status: o.status, ETADays: o.etaDays}
	var ids []string
	for _, item := range o.items {
		ids = append(ids, item.MangaID)
	}
	products, err := s.products.Products(ctx, ids...)
	if err != nil {
		return OrderOutput{}, err
	}
	for _, item := range o.items {
		m, ok := s.books.ByID(item.MangaID)
		p, sold := products[item.MangaID]
		if !ok || !sold {
			return OrderOutput{}, notFound("order_id", "the order %s has a manga that this shop lacks, %s", in.OrderID, item.MangaID)
		}
		item.Title, item.Romaji, item.PriceJPY = m.Title, m.Romaji, p.PriceJPY
		out.Items = append(out.Items, item)
		out.TotalJPY += item.PriceJPY * item.Quantity
	}
	out.TotalUSD = dollars(out.TotalJPY)
	if o.status == Shipped || o.status == Delivered {
		out.Carrier = "MangaAssist Express"
		out.Tracking = trackingNumber(in.OrderID)
	}
	return out, nil
}
