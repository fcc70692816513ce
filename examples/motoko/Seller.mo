/// Example: a canister that sells a method.
///
/// A Tollkeeper sells `GET /forecast` (its content is a ticket, a few words). A buyer pays there, by `pay` or over
/// HTTP, and calls `forecast` here with the id of the payment. This canister asks the Tollkeeper whether its caller has
/// bought it (`Paid`). A controller of the Tollkeeper has to allow that question (`access_readers_set`) and may name
/// this canister as the one that is told of payments (`notify_set`).
import Nat64 "mo:core/Nat64";
import Set "mo:core/Set";
import Paid "Paid";
import Tollkeeper "Tollkeeper";

persistent actor class Seller(tollkeeper : Principal) {
  let books : Paid.Books = { tollkeeper; used = Set.empty(); sales = Set.empty() };

  public shared ({ caller }) func forecast(payment_id : Blob) : async { #Ok : Text; #Err : Text } {
    switch (await* Paid.once(books, caller, "/forecast", payment_id)) {
      case (#Ok) #Ok("Sun, 21 degrees.");
      case (#Err(problem)) #Err(problem);
    };
  };

  public shared ({ caller }) func x402_notify(event : Tollkeeper.PaymentEvent) : async () {
    Paid.note(books, caller, event);
  };

  public query func sold() : async Nat64 {
    Nat64.fromNat(books.sales.size());
  };
};
