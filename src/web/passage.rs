//! What every request for a page passes once its session is known, and its answer on the way back.

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use super::{carried, gate, viewer};

/// Refuses what another site sends, keeps the form until somebody has taken it, and finds out who looks at an error page: of what it
/// refuses, too.
///
/// # Errors
/// The inner ones.
pub async fn pass<B: MessageBody>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let mut answer = match gate::check_origin(&req) {
        Ok(()) => {
            carried::keep(&mut req).await;
            next.call(req).await?.map_into_left_body()
        }
        Err(refusal) => req.error_response(refusal).map_into_right_body(),
    };
    carried::send_on(&mut answer);
    viewer::recognise(&answer).await;
    Ok(answer)
}
