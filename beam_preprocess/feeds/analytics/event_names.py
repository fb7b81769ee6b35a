"""Names of events in tools and logs to types of event."""

from beam_preprocess.feeds.analytics.nodes import folded
from trainer.spec.records import EventType

_NAMES = {
    EventType.SEARCH: "search searches query queries products_searched search_submit site_search searched_products",
    EventType.IMPRESSION: "impression impressions show shown exposure view_item_list list_view product_list_viewed"
    " viewed_product_list product_impression item_impression",
    EventType.VIEW: "view views viewed pv view_item item_view item_viewed item_page_view detail detail_view"
    " detail_page_view view_product product_view product_viewed viewed_product product_detail",
    EventType.CLICK: "click clicks clicked click_through select_item item_click product_click product_clicked"
    " clicked_product list_click result_click search_result_click",
    EventType.CART: "cart carts basket add_to_cart add_to_basket add_to_bag add_cart cart_add product_added"
    " added_product product_added_to_cart item_added_to_cart",
    EventType.PURCHASE: "purchase purchases purchased purchase_item buy buys bought transaction transactions"
    " transaction_item order orders ordered ordered_product order_completed completed_order order_placed placed_order"
    " purchase_complete checkout_complete ecommerce_purchase conversion sale",
    EventType.RETURN: "return returns returned refund refunds refunded purchase_refund order_refunded refunded_order"
    " order_cancelled cancelled_order order_returned return_item",
    EventType.REVIEW: "review reviews reviewed product_reviewed reviewed_product",
}
_TYPES = {folded(name): kind for kind, names in _NAMES.items() for name in names.split()}
# Words inside of a name by which a file without a column of kinds tells its one kind.
_WORDS_OF_FILES = (
    (EventType.PURCHASE, ("buy", "purchase", "order", "transaction", "sale")),
    (EventType.CART, ("cart", "basket")),
    (EventType.VIEW, ("view",)),
)


def type_of(name: object) -> EventType | None:
    """Returns the type of event that a tool's own name for it means, None where there is none for it."""
    return _TYPES.get(folded(name.strip())) if isinstance(name, str) else None


def type_of_file(name: str) -> EventType:
    """Returns the type of the events of a file by its name; `click` where that tells nothing."""
    lower = name.casefold()
    return next((kind for kind, words in _WORDS_OF_FILES if any(word in lower for word in words)), EventType.CLICK)
